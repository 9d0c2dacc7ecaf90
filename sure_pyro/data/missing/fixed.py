"""Fixed patterns: the same modalities for every row."""

from collections.abc import Iterable

import torch

from sure_pyro.data.batch import Batch
from sure_pyro.data.validate import check_names, rows_in_words


def pattern(batch: Batch, keep: Iterable[str], *, keep_one: bool = True) -> Batch:
    """Hide everything but the modalities named, as in "text only".

    Parameters
    ----------
    batch : Batch
    keep : iterable of str
    keep_one : bool
        False accepts rows that have none of these modalities; they are left with nothing.

    Returns
    -------
    Batch

    Raises
    ------
    ValueError
        If a modality is unknown, or rows have none of those named.
    """
    names = [keep] if isinstance(keep, str) else list(keep)
    check_names(names, "keep", batch.features)
    columns = torch.tensor([name in names for name in batch.modalities])
    kept = batch.available & columns.to(batch.available.device)
    lost = batch.available.any(1) & ~kept.any(1)
    if keep_one and lost.any():
        raise ValueError(
            f"None of {names} is available in {rows_in_words(lost)}. Leave these rows out "
            "beforehand, or give `keep_one=False`."
        )
    return batch.restrict(kept, allow_empty=True)
