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
    shuffled = torch.randperm(num_rows, generator=generator(seed))
    if test is not None and bool(test.any()):
        set_aside = test.cpu()[shuffled]
        rest = shuffled[~set_aside]
        shares = _shares_of_the_rest(shares, len(rest))
        parts = [*_cut(rest, shares, labels, group), shuffled[set_aside]][: len(fractions)]
    else:
        parts = _cut(shuffled, shares, labels, group)
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


def _cut(rows: Tensor, shares: list[float], labels: Tensor | None, group: Tensor | None):
    """Cut shuffled row numbers into as many parts as there are shares."""
    classes = np.zeros(len(rows), dtype=np.int64)
    if labels is not None:
        classes = labels.cpu()[rows].numpy()
    if group is None:
        part = _parts_by_class(classes, shares)
    else:
        part = _parts_by_group(group.cpu()[rows].numpy(), classes, shares)
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


def _parts_by_group(group: np.ndarray, classes: np.ndarray, shares: list[float]) -> np.ndarray:
    """Part of every row, whole groups at a time.

    Groups come in the random order of their first rows. Each goes to the part p where it lowers
    sum_k (n_pk - share_p n_k)^2 / (share_p n_k) the most, n_pk being the rows of class k in part p.
    """
    _, first, member = np.unique(group, return_index=True, return_inverse=True)
    _, classes = np.unique(classes, return_inverse=True)
    counts = np.zeros((len(first), classes.max(initial=0) + 1))  # (groups, classes)
    np.add.at(counts, (member, classes), 1)
    used = [p for p, share in enumerate(shares) if share > 0]
    if len(first) < len(used):
        raise ValueError(
            f"{len(first)} group(s) can not be shared out to {len(used)} parts: rows of one group "
            "stay together. Set `group=None` if they need not."
        )
    wanted = np.outer(shares, counts.sum(0))  # (parts, classes)
    placed = np.zeros_like(wanted)
    home = np.empty(len(first), dtype=np.int64)
    order = np.argsort(first)
    for position, g in enumerate(order):
        empty = [p for p in used if not placed[p].any()]
        # As many groups left as parts without any: from here on each part gets its one.
        candidates = empty if len(order) - position <= len(empty) else used
        n = counts[g]
        change = [(n * (2 * (placed[p] - wanted[p]) + n) / wanted[p]).sum() for p in candidates]
        home[g] = candidates[int(np.argmin(change))]
        placed[home[g]] += n
    return home[member]


def _check_filled(parts: Sequence[Tensor], shares: Sequence[float], num_rows: int) -> None:
    for name, rows, share in zip(PARTS, parts, shares, strict=False):
        if share > 0 and len(rows) == 0:
            raise ValueError(
                f"{num_rows} rows are too few: the {name} part, a share of {share:.3g}, is empty."
            )
