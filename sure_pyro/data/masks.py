"""What of a batch was recorded, as masks beside the values.

Three masks say it together, for modality i of event shape ``(*event_i)``: ``available`` (the
modality is there at all), ``padding`` (the token of a sequence exists) and ``recorded`` (this entry
was measured). Missing data are masks and never magic values. Everything here
trusts its arguments; `sure_pyro.data.validate` is the door.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from sure_pyro.data.fields import Modalities, each_field, tokens_of

Tensors = Mapping[str, Tensor]


def any_in_row(mask: Bool[Tensor, "B ..."]) -> Bool[Tensor, " B"]:
    """Rows in which a mask is True anywhere."""
    return mask.flatten(1).any(1) if mask.ndim > 1 else mask


def existing_entries(
    x: Tensor, available: Bool[Tensor, " B"], padding: Bool[Tensor, "B L"] | None = None
) -> Tensor:
    """Entries of a modality that exist: not absent, not padding.

    Parameters
    ----------
    x : Tensor, shape ``(B, *event)``
    available : bool Tensor, shape ``(B,)``
    padding : bool Tensor, shape ``(B, L)``, optional
        True where the token exists. Says nothing of a field that has another L.

    Returns
    -------
    bool Tensor, shape ``(B, *event)``
        Expanded, not copied, where there is no padding.
    """
    exists = available.reshape(-1, *[1] * (x.ndim - 1)).expand_as(x)
    tokens = tokens_of(x, padding)
    if tokens is None:
        return exists
    return exists & tokens.reshape(*tokens.shape, *[1] * (x.ndim - 2))


def settle(
    features: Modalities, available: Bool[Tensor, "B M"], padding: Tensors, recorded: Tensors
) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
    """Bring the three masks into agreement.

    A modality of which no entry was recorded is absent; nothing is recorded of what is absent or
    padding; the length of an absent sequence is unknown, so all of its tokens exist; and a modality
    recorded in full needs no mask of its own.

    Returns
    -------
    available : bool Tensor, shape ``(B, M)``
    padding : dict of bool Tensor, shapes ``(B, L_i)``
    recorded : dict of bool Tensor, shapes ``(B, *event_i)``
    """
    available = available.clone()
    settled_padding, settled_recorded = {}, {}
    for i, (name, x) in enumerate(features.items()):
        if isinstance(x, Tensor) and name in recorded:
            exists = existing_entries(x, available[:, i], padding.get(name))
            parts = recorded[name] & exists
            available[:, i] &= any_in_row(parts)
            exists = existing_entries(x, available[:, i], padding.get(name))
            if not torch.equal(parts, exists):
                settled_recorded[name] = parts
        if name in padding:
            settled_padding[name] = padding[name] | ~available[:, i : i + 1]
    return available, settled_padding, settled_recorded


def blank(
    features: Modalities, available: Bool[Tensor, "B M"], padding: Tensors, recorded: Tensors
) -> dict[str, Any]:
    """Overwrite by zero what was not recorded, so that it can have no effect on anything.

    Returns
    -------
    dict of Tensor, shapes ``(B, *event_i)``, or of mappings of such fields
        New tensors.
    """
    return {
        name: each_field(
            x, partial(_blanked, available[:, i], padding.get(name), recorded.get(name))
        )
        for i, (name, x) in enumerate(features.items())
    }


def _blanked(
    available: Tensor, padding: Tensor | None, recorded: Tensor | None, x: Tensor
) -> Tensor:
    kept = existing_entries(x, available, padding) if recorded is None else recorded
    return torch.where(kept, x, torch.zeros((), dtype=x.dtype, device=x.device))
