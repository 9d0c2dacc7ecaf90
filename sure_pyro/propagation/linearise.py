"""A function and its gradients at the mean: one forward pass, and a backward pass per output.

Rows do not mix, so the gradient of a column's sum holds that output's gradient for every row.

Where few rows of a batch are uncertain, a backward pass over them alone is all overhead. So one
pass is asked for several outputs at once, as many as fill about the rows that the batch had.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from sure_pyro.propagation.differentiation import check_differentiable
from sure_pyro.propagation.inputs import Inputs

Gradients = Iterator[dict[str, Tensor]]


def linearise(
    inputs: Inputs, together: int = 1, create_graph: bool = False
) -> tuple[Tensor, Tensor | None, Gradients]:
    """Evaluate at the mean; return y and noise (B, C), and dy_c/dz_i for c = 1..C.

    The gradients come as dictionaries by source i, (K, B, D_i) for the next K = `together`
    outputs (the last may be fewer), each made by one backward pass when it is asked for.
    """
    leaves = {name: leaf(inputs.latents[name], create_graph) for name in inputs.covariances}
    y, noise = inputs.evaluate({**inputs.latents, **leaves})
    check_differentiable(inputs, y)
    return y, noise, _gradients(y, leaves, together, create_graph)


def jacobian(gradients: Gradients) -> dict[str, Tensor]:
    """dy/dz_i (B, C, D_i) by source i, all held at once."""
    passes = list(gradients)
    return {name: torch.cat([J[name] for J in passes]).transpose(0, 1) for name in passes[0]}


def outputs_together(num_outputs: int, num_rows: int, batch: int) -> int:
    """Outputs per backward pass over `num_rows`, so that a pass is about as large as `batch`."""
    passes = max(1, round(num_outputs * num_rows / batch))
    return math.ceil(num_outputs / passes)


def leaf(z: Tensor, create_graph: bool) -> Tensor:
    """Make a variable of its own, even of two equal latents; attached to its origin if asked."""
    return z.view_as(z) if create_graph and z.requires_grad else z.detach().requires_grad_()


def _gradients(
    y: Tensor, leaves: dict[str, Tensor], together: int, create_graph: bool
) -> Gradients:
    """Yield the gradients; y is (B, C)."""
    B, C = y.shape
    each_output = torch.eye(C, dtype=y.dtype, device=y.device)[:, None].expand(C, B, C)
    for c in range(0, C, together):
        one_hot = each_output[c : c + together]  # the gradient of the sum over the rows
        keep = create_graph or c + together < C
        J = _backward(y, list(leaves.values()), one_hot, keep, create_graph)
        yield {name: J_i.reshape(len(one_hot), B, -1) for name, J_i in zip(leaves, J, strict=True)}


def _backward(
    y: Tensor, leaves: list[Tensor], directions: Tensor, keep: bool, create_graph: bool
) -> list[Tensor]:
    """Gradients (K, B, *event) of y in K directions (K, B, C), zero where y ignores a leaf."""

    def grad(direction: Tensor, **how: bool) -> tuple[Tensor | None, ...]:
        return torch.autograd.grad(
            y, leaves, direction, create_graph=create_graph, allow_unused=True, **how
        )

    K = len(directions)
    if not y.requires_grad:  # a function that ignores every uncertain latent
        J: list[Tensor | None] = [None] * len(leaves)
    elif K == 1:
        J = [g if g is None else g[None] for g in grad(directions[0], retain_graph=keep)]
    else:
        try:
            J = [*grad(directions, retain_graph=True, is_grads_batched=True)]
        except RuntimeError:  # a step of the function that can not be batched: one by one
            one_by_one = [grad(direction, retain_graph=True) for direction in directions]
            J = [g[0] if g[0] is None else torch.stack(g) for g in zip(*one_by_one, strict=True)]
    return [z.new_zeros(K, *z.shape) if g is None else g for z, g in zip(leaves, J, strict=True)]
