"""Rows by a flag: what is a test row, and what belongs together.

Flags come as booleans, as 0 and 1, as text. What can mean two things is refused.
"""

from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from sure_pyro.data.reading import read_complete
from sure_pyro.data.validate import rows_in_words
from sure_pyro.data.words import check_names, names_of

PAIRS = ({"true": True, "false": False}, {"test": True, "train": False})
WHAT_TO_DO = (
    "Say which rows are the test part, as in `test=(split == 'test')`; a validation part is cut by "
    "`Batch.split`, or is a batch of its own."
)


def read_test(values: Any) -> Bool[Tensor, "..."]:
    """Rows that are set aside as test part.

    Parameters
    ----------
    values : array-like, shape ``(B,)``
        Booleans, 0 and 1, or text: True and False, or train and test, in any case.

    Raises
    ------
    TypeError, ValueError
        If they are anything else, such as 0, 1, 2 or train, val, test, or if any is missing.
    """
    names = names_of(values)
    if names is not None:
        check_names(names, "`test`")
        return _from_text([str(name).strip().lower() for name in names], sorted(set(names)))
    flags = read_complete(values, "`test`")
    if flags.dtype == torch.bool:
        return flags
    unknown = flags.isnan().reshape(len(flags), -1).any(1)
    if unknown.any():
        raise ValueError(f"`test` is NaN in {rows_in_words(unknown)}. {WHAT_TO_DO}")
    found = flags.unique().tolist()
    if not set(found) <= {0, 1}:
        raise ValueError(
            f"`test` must be True or 1 for test rows; it holds {_some(found)}. {WHAT_TO_DO}"
        )
    return flags == 1


def _from_text(words: list[str], found: list[Any]) -> Tensor:
    for pair in PAIRS:
        if set(words) <= set(pair):
            return torch.tensor([pair[word] for word in words])
    raise ValueError(
        "`test` as text must be True and False, or train and test; it holds "
        f"{_some(found)}. {WHAT_TO_DO}"
    )


def _some(found: list[Any]) -> str:
    return ", ".join(map(repr, found[:5])) + (", ..." if len(found) > 5 else "")


def read_groups(values: Any) -> Int64[Tensor, "..."]:
    """Group of every row: integers as they are, names numbered in sorted order.

    Raises
    ------
    TypeError, ValueError
        If they are floating or bool, or if any is missing.
    """
    names = names_of(values)
    if names is not None:
        check_names(names, "`group`")
        return torch.from_numpy(pd.factorize(names, sort=True)[0].astype(np.int64))
    groups = read_complete(values, "`group`")
    if groups.is_floating_point() or groups.dtype == torch.bool:
        raise TypeError(f"`group` must hold integers or names; got {groups.dtype}.")
    return groups.to(torch.int64)
