"""A function and its gradients at the mean: one forward pass, and a backward pass per output.

Rows do not mix, so the gradient of a column's sum holds that output's gradient for every row.

Where few rows of a batch are uncertain, a pass over them alone is all overhead. So they are
repeated until they fill about as many rows as the batch had, and each copy is asked for another
output: as many gradients from fewer passes, in no more memory than the whole batch would take.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from sure_pyro.propagation.inputs import Inputs, check_differentiable

Gradients = Iterator[dict[str, Tensor]]


def linearise(
    inputs: Inputs, copies: int = 1, create_graph: bool = False
) -> tuple[Tensor, Tensor | None, Gradients]:
    """Evaluate at the mean; return y and noise (B, C), and dy_c/dz_i for c = 1..C.

    The gradients come as dictionaries by source i, (copies, B, D_i) for the next `copies`
    outputs (the last may be fewer), each made by one backward pass when it is asked for.
    """
    rows = len(inputs)
    repeated = {name: torch.cat([z] * copies) for name, z in inputs.latents.items()}
    leaves = {name: leaf(repeated[name], create_graph) for name in inputs.covariances}
    y, noise = inputs.evaluate({**repeated, **leaves})  # (copies * B, C)
    check_differentiable(inputs, y)
    gradients = _gradients(y.unflatten(0, (copies, rows)), leaves, create_graph)
    return y[:rows], None if noise is None else noise[:rows], gradients


def jacobian(gradients: Gradients) -> dict[str, Tensor]:
    """dy/dz_i (B, C, D_i) by source i, all held at once."""
    passes = list(gradients)
    return {name: torch.cat([J[name] for J in passes]).transpose(0, 1) for name in passes[0]}


def fitting_copies(num_outputs: int, num_rows: int, batch: int) -> int:
    """Copies of `num_rows` that fill `batch` rows, evened out over the passes."""
    room = min(batch // max(num_rows, 1), num_outputs)
    return math.ceil(num_outputs / math.ceil(num_outputs / room))


def leaf(z: Tensor, create_graph: bool) -> Tensor:
    """Make a variable of its own, even of two equal latents; attached to its origin if asked."""
    return z.view_as(z) if create_graph and z.requires_grad else z.detach().requires_grad_()


def _gradients(y: Tensor, leaves: dict[str, Tensor], create_graph: bool) -> Gradients:
    """Yield the gradients; y is (copies, B, C), and copy k of a pass answers for its output k."""
    copies, B, C = y.shape
    for start in range(0, C, copies):
        outputs = torch.arange(start, min(start + copies, C), device=y.device)
        one_hot = torch.zeros_like(y)
        one_hot[outputs - start, :, outputs] = 1  # the gradient of the sum over the rows
        J = _backward(y, leaves, one_hot, start + copies >= C, create_graph)
        yield {name: J_i.reshape(copies, B, -1)[: len(outputs)] for name, J_i in J.items()}


def _backward(
    y: Tensor, leaves: dict[str, Tensor], direction: Tensor, last: bool, create_graph: bool
) -> dict[str, Tensor]:
    if not y.requires_grad:  # a function that ignores every uncertain latent
        return {name: torch.zeros_like(z) for name, z in leaves.items()}
    J = torch.autograd.grad(
        y,
        list(leaves.values()),
        direction,
        retain_graph=create_graph or not last,
        create_graph=create_graph,
        materialize_grads=True,
    )
    return dict(zip(leaves, J, strict=True))
