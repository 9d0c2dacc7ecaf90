"""Shares of predictions and factors of scales, from held-out rows."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sure_pyro.models.stacking import ROWS_OF_THE_PRIOR, scale_factor, shares


def numbers(n=200, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(3, n, generator=g, dtype=torch.double)


def test_a_mixture_inside_the_triangle_is_found():
    a, b, _ = numbers()
    assert shares(a, b, 0.3 * a + 0.5 * b) == pytest.approx((0.3, 0.5))


def test_what_says_nothing_or_the_reverse_gets_no_share():
    a, b, _ = numbers()
    assert shares(-a, b, a) == pytest.approx((0.0, 0.0), abs=0.2)
    assert shares(-a, -b, a + b)[0] == 0.0
    assert sum(shares(-a, -b, a + b)) == 0.0


def test_shares_add_up_to_one_at_most():
    a, b, _ = numbers()
    found = shares(a, b, 3 * a + 3 * b)
    assert sum(found) == pytest.approx(1.0)
    assert shares(a, a, a) == pytest.approx(found := shares(a, a, a))
    assert sum(found) == pytest.approx(1.0)


@given(st.integers(0, 10_000))
@settings(max_examples=50, deadline=None)
def test_no_point_of_the_triangle_is_better(seed):
    a, b, y = numbers(30, seed)
    y = y + np.random.default_rng(seed).normal() * a
    found = shares(a, b, y)
    assert min(found) >= 0
    assert sum(found) <= 1 + 1e-12
    grid = torch.linspace(0, 1, 21)
    error = [float((y - s * a - t * b).square().sum()) for s in grid for t in grid if s + t <= 1.0]
    assert float((y - found[0] * a - found[1] * b).square().sum()) <= min(error) + 1e-9


def test_the_factor_is_the_root_of_the_mean_drawn_towards_one():
    squared = torch.full((ROWS_OF_THE_PRIOR, 3), 4.0)
    assert scale_factor(squared) == pytest.approx(2.0**0.5)  # half way in the logarithm
    assert scale_factor(squared.repeat(1000, 1)) == pytest.approx(2.0, rel=1e-3)
    assert scale_factor(squared[:0]) == 1.0
