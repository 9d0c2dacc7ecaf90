r"""Gradients of attention for several outputs at once: the one step that torch repeats.

``torch.autograd.grad(..., is_grads_batched=True)`` carries C directions through a graph in one
pass. For fused attention on a CPU torch has no such rule and calls its kernel C times; over few
tokens, such as one per modality, that is nearly all overhead. With P the weights of attention
(T x S, queries x keys) and G a gradient of its output (T x d),

.. math:: dV = P^T G, \quad dS = s\,P \circ (G V^T - \mathrm{rowsum}(P \circ G V^T)), \quad
          dQ = dS\,K, \quad dK = dS^T Q

[Dao2022]_. P, Q, K and V are the same for all directions, which can so stand side by side in one
product. Over many tokens the kernel is better, and is called as torch would. P is made anew: from
what the kernel keeps, it would be wrong where all keys of a query are masked by a large finite
number, as are the kernel's own gradients there (torch 2.13; mask with ``-inf`` or booleans).

References
----------
.. [Dao2022] FlashAttention: fast and memory-efficient exact attention. NeurIPS, appendix B.
"""

from __future__ import annotations

import threading

import torch
from torch import Tensor

FEW = 16  # keys; from about 20 on the kernel is as fast
_BACKWARD = "_scaled_dot_product_flash_attention_for_cpu_backward"
_LEVEL = 1  # at which `torch.autograd.grad` hides the directions


class _Rule:
    """The rule, as long as some thread is in a block: torch's registry is one for all of them."""

    def __init__(self) -> None:
        self._lock, self._users = threading.Lock(), 0
        self._library: torch.library.Library | None = None

    def __enter__(self) -> None:
        with self._lock:
            if not self._users and hasattr(torch, "_remove_batch_dim"):
                self._library = torch.library.Library("aten", "IMPL")
                self._library.impl(_BACKWARD, _batched, "Batched")
            self._users += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._library = None  # and with it the rule


def _batched(
    G: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    logsumexp: Tensor,
    dropout_p: float,
    is_causal: bool,
    *,
    attn_mask: Tensor | None = None,
    scale: float | None = None,
) -> tuple[Tensor, ...]:
    """Batching rule of the kernel `_BACKWARD`: in G (N, H, T, d), C directions are hidden."""
    G = torch._remove_batch_dim(G, _LEVEL, 1, 0)  # (C, N, H, T, d)
    alike = q.shape[:2] == k.shape[:2] and q.dtype in (torch.float32, torch.float64)  # heads
    gradients: tuple[Tensor, ...]
    if alike and k.shape[-2] <= FEW:
        s = q.shape[-1] ** -0.5 if scale is None else scale
        with torch.autocast(q.device.type, enabled=False):  # as the forward pass was, in full
            gradients = _together(G, q, k, v, _weights(q, k, s, is_causal, attn_mask), s)
    else:
        kernel, saved = getattr(torch.ops.aten, _BACKWARD), (out, logsumexp, dropout_p, is_causal)
        each = [kernel(G_c, q, k, v, *saved, attn_mask=attn_mask, scale=scale) for G_c in G]
        gradients = tuple(torch.stack(parts) for parts in zip(*each, strict=True))
    return tuple(torch._add_batch_dim(gradient, 0, _LEVEL) for gradient in gradients)


def _weights(q: Tensor, k: Tensor, s: float, is_causal: bool, mask: Tensor | None) -> Tensor:
    """P (N, H, T, S); zero for a query that may look at nothing."""
    scores = s * (q @ k.mT)
    if is_causal:
        future = torch.ones_like(scores, dtype=torch.bool).triu(1)
        scores = scores.masked_fill(future, -torch.inf)
    if mask is None:
        return scores.softmax(-1)
    scores = scores + mask
    return scores.softmax(-1).masked_fill((scores == -torch.inf).all(-1, keepdim=True), 0.0)


def _together(
    G: Tensor, q: Tensor, k: Tensor, v: Tensor, P: Tensor, s: float
) -> tuple[Tensor, Tensor, Tensor]:
    """dQ, dK and dV (C, N, H, tokens, d), the C directions side by side in every product."""
    C, N, H, T, d = G.shape
    S = k.shape[-2]
    dV = (P.mT @ G.permute(1, 2, 3, 0, 4).reshape(N, H, T, C * d)).view(N, H, S, C, d)
    P_c = P[:, :, None]
    dP = (G.permute(1, 2, 0, 3, 4).reshape(N, H, C * T, d) @ v.mT).view(N, H, C, T, S)
    dS = s * P_c * (dP - torch.linalg.vecdot(P_c, dP)[..., None])
    dQ = (dS.view(N, H, C * T, S) @ k).view(N, H, C, T, d)
    dK = (dS.mT.reshape(N, H, C * S, T) @ q).view(N, H, C, S, d)
    return dQ.permute(2, 0, 1, 3, 4), dK.permute(2, 0, 1, 3, 4), dV.permute(3, 0, 1, 2, 4)


# Within ``with batched_attention:`` batched gradients take attention for all directions at once.
batched_attention = _Rule()
