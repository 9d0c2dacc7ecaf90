"""What to do with modalities that are recorded in parts, where a model takes them whole or not."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from sure_pyro.data.batch import Batch
from sure_pyro.data.masks import existing_entries
from sure_pyro.data.validate import check_names


def resolve_partial(
    batch: Batch,
    policy: str = "absent",
    *,
    modalities: Iterable[str] | None = None,
    means: Mapping[str, Tensor] | None = None,
    allow_empty: bool = False,
) -> Batch:
    """Decide what a partly recorded modality counts as.

    Parameters
    ----------
    batch : Batch
    policy : {"absent", "impute", "keep"}
        ``"absent"``: unavailable in the rows where a part is missing. ``"impute"``: what is missing
        is filled in and counts as recorded from then on. ``"keep"``: nothing changes.
    modalities : iterable of str, optional
        Where the policy applies; by default everywhere.
    means : mapping of str to Tensor, shapes that broadcast to ``event_i``, optional
        What ``"impute"`` fills in, such as `Standardizer.means` of the training rows. By default
        zero, which is the training mean of standardised features and of nothing else.
    allow_empty : bool
        Accept rows that are left without any modality.

    Returns
    -------
    Batch

    Raises
    ------
    ValueError
        If the policy is none of the choices, a modality is unknown, or ``"absent"`` leaves rows
        with nothing.
    """
    if policy not in ("absent", "impute", "keep"):
        raise ValueError(f"`policy` must be 'absent', 'impute' or 'keep'; got {policy!r}.")
    chosen = list(batch.modalities if modalities is None else modalities)
    check_names(chosen, "modalities", batch.features)
    check_names(means or {}, "means", batch.features)
    partly = [name for name in batch.recorded if name in chosen]
    if policy == "absent":
        return _as_absent(batch, partly, allow_empty)
    return _imputed(batch, partly, means or {}) if policy == "impute" else batch


def _exists(batch: Batch, name: str) -> Tensor:
    i = batch.modalities.index(name)
    return existing_entries(batch.features[name], batch.available[:, i], batch.padding.get(name))


def _as_absent(batch: Batch, partly: list[str], allow_empty: bool) -> Batch:
    available = batch.available.clone()
    for name in partly:
        whole = (batch.recorded[name] == _exists(batch, name)).flatten(1).all(1)
        available[:, batch.modalities.index(name)] &= whole
    return batch.restrict(available, allow_empty=allow_empty)


def _imputed(batch: Batch, partly: list[str], means: Mapping[str, Tensor]) -> Batch:
    features = dict(batch.features)
    for name in partly:
        x = features[name]
        fill = means.get(name, torch.zeros(())).to(x)
        gap = _exists(batch, name) & ~batch.recorded[name]
        features[name] = torch.where(gap, fill, x)
    recorded = {name: mask for name, mask in batch.recorded.items() if name not in partly}
    return batch._with(features=features, recorded=recorded)
