"""Training, validation and test rows, by a seed.

Three rules: rows that the data's author set aside are the test part; rows of one group stay
together (validation rows from the subjects or weeks of the training rows hide the shift that the
test brings); otherwise classes keep their proportions.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from sure_pyro.data.random import generator

MAX_TRIES = 20  # orders of the groups of which the best is taken
PARTS = ("train", "validation", "test")


def split_rows(
    num_rows: int,
    fractions: Sequence[float],
    seed: int,
    *,
    labels: Tensor | None = None,
    group: Tensor | None = None,
    test: Tensor | None = None,
) -> tuple[Int64[Tensor, " _"], ...]:
    """Row numbers of the parts, each in random order.

    Parameters
    ----------
    num_rows : int
    fractions : sequence of two or three float
        Non-negative, adding up to 1. With two there is no test part.
    seed : int
    labels : int64 Tensor, shape ``(B,)``, optional
        Classes to keep in proportion.
    group : int64 Tensor, shape ``(B,)``, optional
        Groups to keep together; with `labels`, classes are balanced as far as groups allow.
    test : bool Tensor, shape ``(B,)``, optional
        Rows set aside. If any is True, these are the test part, whatever `fractions` says of it and
        whichever groups they belong to; with two fractions they are left out.

    Returns
    -------
    train, validation, test : int64 Tensor
        As many as there are fractions.

    Raises
    ------
    ValueError
        If the fractions do not fit, or a part with a positive fraction would be empty.
    """
    shares = _check_fractions(fractions)
    draw = generator(seed)
    shuffled = torch.randperm(num_rows, generator=draw)
    if test is not None and bool(test.any()):
        set_aside = test.cpu()[shuffled]
        rest = shuffled[~set_aside]
        shares = _shares_of_the_rest(shares, len(rest))
        parts = [*_cut(rest, shares, labels, group, draw), shuffled[set_aside]][: len(fractions)]
    else:
        parts = _cut(shuffled, shares, labels, group, draw)
    _check_filled(parts, shares, num_rows)
    return tuple(parts)


def _check_fractions(fractions: Sequence[float]) -> list[float]:
    shares = [float(f) for f in fractions]
    if len(shares) not in (2, 3) or not min(shares) >= 0 or not abs(sum(shares) - 1) < 1e-6:
        raise ValueError(
            "`fractions` must be non-negative numbers (train, validation, test), or the first two, "
            f"that add up to 1; got {tuple(shares)}."
        )
    return shares


def _shares_of_the_rest(shares: list[float], num_rest: int) -> list[float]:
    """Ratio of training to validation rows, where the test rows are given."""
    if num_rest == 0:
        raise ValueError("Every row is marked as test: there is nothing to train on.")
    kept = shares[0] + shares[1]
    if kept == 0:
        raise ValueError(f"`fractions` {tuple(shares)} leave nothing for training and validation.")
    return [shares[0] / kept, shares[1] / kept]


def _cut(
    rows: Tensor,
    shares: list[float],
    labels: Tensor | None,
    group: Tensor | None,
    draw: torch.Generator,
) -> list[Tensor]:
    """Cut shuffled row numbers into as many parts as there are shares."""
    classes = np.zeros(len(rows), dtype=np.int64)
    if labels is not None:
        classes = labels.cpu()[rows].numpy()
    if group is None:
        part = _parts_by_class(classes, shares)
    else:
        part = _parts_by_group(group.cpu()[rows].numpy(), classes, shares, draw)
    return [rows[torch.from_numpy(part == p)] for p in range(len(shares))]


def _parts_by_class(classes: np.ndarray, shares: list[float]) -> np.ndarray:
    """Part of every row: the k-th of n rows of a class goes where (k + 1/2) / n falls."""
    bounds = np.cumsum(shares)[:-1]
    part = np.empty(len(classes), dtype=np.int64)
    for c in np.unique(classes):
        of_class = np.flatnonzero(classes == c)
        position = (np.arange(len(of_class)) + 0.5) / len(of_class)
        part[of_class] = np.searchsorted(bounds, position, side="right")
    return part


def _parts_by_group(
    group: np.ndarray, classes: np.ndarray, shares: list[float], draw: torch.Generator
) -> np.ndarray:
    """Part of every row, whole groups at a time: the best of some random orders of the groups."""
    names, member = np.unique(group, return_inverse=True)
    _, classes = np.unique(classes, return_inverse=True)
    used = [p for p, share in enumerate(shares) if share > 0]
    G = len(names)
    if len(used) > G:
        raise ValueError(
            f"{G} group(s) can not be shared out to {len(used)} parts: rows of one group stay "
            "together. Set `group=None` if they need not."
        )
    counts = np.zeros((G, classes.max() + 1))  # (groups, classes)
    np.add.at(counts, (member, classes), 1)
    wanted = np.outer(np.array(shares)[used], counts.sum(0))  # (parts, classes)
    tries = min(MAX_TRIES, 1 + 2000 // G)  # many groups come out even in any order
    orders = [torch.randperm(G, generator=draw).numpy() for _ in range(tries)]
    placings = [_place_groups(counts, wanted, order) for order in orders]
    home, _ = min(placings, key=lambda placing: placing[1])
    return np.array(used)[home[member]]


def _place_groups(
    counts: np.ndarray, wanted: np.ndarray, order: np.ndarray
) -> tuple[np.ndarray, float]:
    """Put groups into parts, one after the other, and say how uneven it came out.

    Each goes where it adds least to chi^2 = sum_pk (n_pk - wanted_pk)^2 / wanted_pk, with n_pk the
    rows of class k in part p.
    """
    placed = np.zeros_like(wanted)
    home = np.empty(len(order), dtype=np.int64)
    for position, g in enumerate(order):
        empty = np.flatnonzero(~placed.any(1))
        # As many groups left as parts without any: from here on each part gets its one.
        last = len(order) - position <= len(empty)
        candidates = empty if last else np.arange(len(placed))
        n = counts[g]
        added = (n * (2 * (placed - wanted) + n) / wanted).sum(1)  # to chi^2, by part
        home[g] = candidates[added[candidates].argmin()]
        placed[home[g]] += n
    return home, float(((placed - wanted) ** 2 / wanted).sum())


def _check_filled(parts: Sequence[Tensor], shares: Sequence[float], num_rows: int) -> None:
    for name, rows, share in zip(PARTS, parts, shares, strict=False):
        if share > 0 and len(rows) == 0:
            raise ValueError(
                f"{num_rows} rows are too few: the {name} part, a share of {share:.3g}, is empty."
            )
