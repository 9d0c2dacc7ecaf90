"""Two dials that take from modalities what they have in common, and leave everything else.

On synthetic data the share of variance that comes from common factors; on real data the share of
rows whose modalities come from other rows of the same class. Both give, by a seed, training,
validation and test rows of one kind.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

import sure_pyro as sp

Parts = tuple[sp.Batch, sp.Batch, sp.Batch]

SHARES = (0.9, 0.5, 0.2, 0.0)
SCRAMBLED = (0.0, 0.5, 0.8, 1.0)
ROWS, HETEROSCEDASTIC = 1500, 1.0


def scramble(batch: sp.Batch, share: float, seed: int) -> sp.Batch:
    """Compose a share of the rows anew, each modality from another row of the same class.

    In every class that share of rows is drawn, and each modality but the first is permuted among
    them, independently of the others. What a modality looks like in a class does not change, nor
    does the class of a row; what its modalities have in common beyond the class does.

    Parameters
    ----------
    batch : Batch
        Complete, with classes.
    share : float, in [0, 1]
    seed : int

    Returns
    -------
    Batch

    Raises
    ------
    ValueError
        If the share is out of range, or the batch has gaps or no classes.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"`share` must lie in [0, 1]; got {share}.")
    if batch.task != "classification" or len(batch.complete()) < len(batch):
        raise ValueError("`batch` must be complete and have classes, to scramble within them.")
    draw = torch.Generator().manual_seed(seed)
    features = {name: x.clone() for name, x in batch.features.items()}
    for label in batch.target.unique():
        rows = (batch.target == label).nonzero().flatten()
        chosen = rows[torch.randperm(len(rows), generator=draw)[: round(share * len(rows))]]
        for name in batch.modalities[1:]:
            taken = chosen[torch.randperm(len(chosen), generator=draw)]
            features[name][chosen] = batch.features[name][taken]
    return batch.replace(features=features)


def scrambled_parts(share: float, seed: int, source: str = "digits") -> Parts:
    """Cut a dataset, then scramble every part within itself, so that no row straddles a cut."""
    data = sp.resolve_partial(sp.load_npz(source) if source.endswith(".npz") else sp.load(source),
                              "absent")  # fmt: skip
    train, validation, test = data.complete().split(seed=seed)
    return tuple(
        scramble(part, share, 3 * seed + k) for k, part in enumerate((train, validation, test))
    )


def synthetic_parts(share: float, seed: int, num_rows: int = ROWS) -> Parts:
    """Synthetic rows of which a further modality, ``context``, says how widely they scatter."""
    data, _ = sp.data.synthetic(
        num_rows, share=share, heteroscedastic=HETEROSCEDASTIC, task="classification", seed=seed
    )
    return data.split(seed=seed)


def dials(sources: dict[str, str]) -> dict[str, Callable[[int], Parts]]:
    """Every level of both dials by name, such as ``"synthetic 0.9"`` and ``"digits 0.25"``."""
    found: dict[str, Callable[[int], Parts]] = {
        f"synthetic {share}": partial(synthetic_parts, share) for share in SHARES
    }
    for name, source in sources.items():
        for share in SCRAMBLED:
            found[f"{name} {share}"] = partial(scrambled_parts, share, source=source)
    return found
