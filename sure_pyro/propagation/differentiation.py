"""How a function is differentiated: with gradients on, and twice where it is asked for.

Everything here holds for the calling thread alone. `torch.nn.attention.sdpa_kernel`, the usual way
to a form of attention that can be differentiated twice, sets a switch of the whole process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import FunctionType, MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from sure_pyro.propagation.inputs import Inputs


@contextmanager
def differentiation(twice: bool) -> Iterator[None]:
    """Record gradients whatever the caller's mode; with `twice`, gradients of gradients.

    Fused attention has no second derivative, so then it is spelled out.
    """
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        if twice:
            stack.enter_context(_PlainAttention())
        yield


def plain_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Softmax(scale Q K^T + mask) V, as `torch.nn.functional.scaled_dot_product_attention`.

    A query that may look at nothing gets zero.
    """
    if enable_gqa:  # fewer heads of keys and values than of queries
        groups = query.shape[-3] // key.shape[-3]
        key, value = (t.repeat_interleave(groups, -3) for t in (key, value))
    scores = query @ key.mT * (query.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        future = torch.ones_like(scores, dtype=torch.bool).triu(1)
        scores = scores.masked_fill(future, -torch.inf)
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, -torch.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    blind = (scores == -torch.inf).all(-1, keepdim=True)
    # Their softmax would be NaN, and so its gradient, whatever is put in its place afterwards.
    weights = scores.masked_fill(blind, 0.0).softmax(-1).masked_fill(blind, 0.0)
    # A dropout of nothing would still draw from the global generator.
    return (F.dropout(weights, dropout_p) if dropout_p else weights) @ value


def _with_plain_attention(function: Callable) -> Callable:
    """Copy a function of `torch.nn.functional` so that it calls `plain_attention`.

    While a mode handles a call it is off, so it would not see a call within this one.
    """
    names = {**function.__globals__, "scaled_dot_product_attention": plain_attention}
    return FunctionType(function.__code__, names, argdefs=function.__defaults__)


_SPELLED_OUT: Mapping[Callable, Callable] = MappingProxyType(
    {
        F.scaled_dot_product_attention: plain_attention,
        F.multi_head_attention_forward: _with_plain_attention(F.multi_head_attention_forward),
    }
)


class _PlainAttention(TorchFunctionMode):
    """Calls of fused attention go to `plain_attention`, also those inside of `nn` modules."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        return _SPELLED_OUT.get(func, func)(*args, **(kwargs or {}))


def check_differentiable(inputs: Inputs, y: Tensor) -> None:
    """Refuse a function that cuts the graph: its variance would silently be zero.

    Raises
    ------
    ValueError
        If `y` carries no gradient although it moves when the uncertain latents move.
    """
    if y.requires_grad or not inputs.covariances:
        return
    moved = {name: z + 1 if name in inputs.covariances else z for name, z in inputs.latents.items()}
    with torch.no_grad():
        elsewhere, _ = inputs.evaluate(moved)
    if not torch.equal(elsewhere, y):
        raise ValueError(
            f"`fn` depends on {list(inputs.covariances)}, but its output carries no gradient: "
            "it runs under `torch.no_grad()` or detaches. Remove that, or use `sampling`, "
            "which needs no gradient."
        )
