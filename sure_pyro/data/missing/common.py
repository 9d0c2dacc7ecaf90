"""What the generators share: which modalities may be hidden, what a rate may be, and the hiding."""

from collections.abc import Iterable

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from sure_pyro.data.batch import Batch
from sure_pyro.data.missing.keep import draw_kept
from sure_pyro.data.random import Seed, generator
from sure_pyro.data.validate import check_names


def candidates(batch: Batch, modalities: Iterable[str] | None) -> Bool[Tensor, " M"]:
    """Modalities that may be hidden, ``(M,)``: all, or those named."""
    if modalities is None:
        return torch.ones(len(batch.modalities), dtype=torch.bool)
    chosen = [modalities] if isinstance(modalities, str) else list(modalities)
    check_names(chosen, "modalities", batch.features)
    return torch.tensor([name in chosen for name in batch.modalities])


def check_share(rate: float, argument: str = "rate") -> float:
    """Raise ValueError unless 0 <= rate <= 1."""
    if not 0 <= rate <= 1:  # written so that NaN fails too
        raise ValueError(f"`{argument}` must lie in [0, 1]; got {rate}.")
    return float(rate)


def check_reachable(rate: float, largest: float, keep_one: bool) -> None:
    """Raise ValueError if no distribution that keeps one modality per row has this rate."""
    if keep_one and rate > largest + 1e-9:
        raise ValueError(
            f"A rate of {rate:.4g} can not be reached: when every row keeps one modality, at most "
            f"{largest:.4g} of the entries can be hidden. Lower the rate, or give `keep_one=False`."
        )


def hide(batch: Batch, keep: Float64[Tensor, "B M"], seed: Seed, keep_one: bool) -> Batch:
    """Batch in which each available entry stays with its probability ``keep``, ``(B, M)``."""
    available = batch.available.cpu()
    kept = draw_kept(torch.where(available, keep, 0.0), generator(seed), keep_one)
    return batch.restrict(kept.to(batch.available.device), allow_empty=not keep_one)
