"""Polynomials in d and x, the two variables whose powers are summed, and their averages.

Any average that an estimate needs is one of a polynomial: written out once here, the formulae
elsewhere stay as short as on paper.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

Polynomial: TypeAlias = dict[tuple[int, int], float | Tensor]  # coefficient of d^a x^b
Average: TypeAlias = Callable[[int, int], Tensor]  # (a, b) -> E[d^a x^b]


def times(p: Polynomial, q: Polynomial) -> Polynomial:
    """Product of two polynomials."""
    product: Polynomial = {}
    for (a, b), u in p.items():
        for (c, e), v in q.items():
            product[a + c, b + e] = product.get((a + c, b + e), 0.0) + u * v
    return product


def plus(p: Polynomial, q: Polynomial) -> Polynomial:
    """Sum of two polynomials."""
    return {key: p.get(key, 0.0) + q.get(key, 0.0) for key in {**p, **q}}


def scaled(p: Polynomial, factor: float | Tensor) -> Polynomial:
    """Multiple of a polynomial."""
    return {key: factor * u for key, u in p.items()}


def expect(p: Polynomial, E: Average) -> Tensor:
    """E[p], from the averages of the powers."""
    return torch.stack([u * E(a, b) for (a, b), u in p.items()]).sum(0)
