"""A prediction as an ArviZ object, for `az.summary`, `az.plot_ppc`, `az.loo` and `az.compare`.

The groups and their dimensions are described in `sure_pyro.diagnostics.groups`. With them,
``az.loo(idata).elpd_loo`` estimates ``constant_data.log_predictive.sum()``, and `az.compare` ranks
models by the log score of what they predicted before they saw the target. For regression both agree
up to Monte Carlo error. For classes the draws treat the logits as Gaussian and independent, while
``probability`` is what the method made of them; expect a few per cent between the two.
``p_loo`` counts no parameters here: every row has its own unknown latents, and none are shared.

ArviZ 0.x (Python 3.11) has `InferenceData`, 1.x an xarray `DataTree`: see
`sure_pyro.diagnostics.adapter`.

**Tables.** ``idata.to_dataframe()`` in 0.x and
``az.dataset_to_dataframe(idata.posterior.dataset)`` in 1.x have a line per draw and a column per
number. The ``to_dataframe`` of a whole xarray group is another thing: it crosses the dimensions of
all its variables, and fills any memory. Take one: ``idata.posterior["mu"].to_dataframe()``.

**Files.** ``to_netcdf(path)`` keeps everything. ``to_zarr`` needs the package `zarr`; ArviZ 0.x
asks for a version below 3, with which xarray works up to 2024. The JSON of 0.x is read back for
the groups of draws: in the others it takes ``mask_pattern`` for a dimension.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sure_pyro.data import Batch
from sure_pyro.diagnostics.adapter import as_arviz
from sure_pyro.diagnostics.groups import Arrays, check_draws, groups
from sure_pyro.evaluation.rows import rows_of
from sure_pyro.models import Prediction
from sure_pyro.models.weights import WeightPosterior

MOST_NUMBERS = 2**24
"""Latents or weights whose draws are more numbers than this are left out unless asked for by name:
64 MiB of memory, and minutes of `az.summary`."""


def to_arviz(
    prediction: Prediction,
    batch: Batch,
    *,
    num_draws: int = 1000,
    seed: int = 0,
    latents: bool | Sequence[str] = True,
    weights: WeightPosterior | Mapping[str, Tensor | np.ndarray] | None = None,
) -> Any:
    """Export a prediction.

    Parameters
    ----------
    prediction : Prediction
        Its first method (Taylor, if it was taken) is exported; `constant_data` names it.
    batch : Batch
        What was predicted, B rows; with targets for `observed_data` and `log_likelihood`.
    num_draws : int
        S, in all, laid out in 4 chains; a multiple of 4.
    seed : int
    latents : bool or sequence of str
        Whether the posterior holds the latents that were missing, or of which modalities. What
        would be more than 2^24 numbers is left out with a warning, unless it is asked for by name.
        Without them `az.loo` is faster: ArviZ looks at the chains of everything in the posterior.
    weights : WeightPosterior or mapping of str to array, optional
        For the posterior: a guide over weights, such as ``model.weights``, whose ``sample(seed)``
        is called S times; or draws by name, each (S, ...).

    Returns
    -------
    arviz.InferenceData or xarray.DataTree
        Whichever the installed ArviZ works with. For tables and files see
        `sure_pyro.diagnostics.arviz`.

    Raises
    ------
    ValueError
        If the rows of `prediction` and `batch` differ in number or in what is available, if a class
        or label of `batch` is unknown to the prediction (they go by their names), if
        `num_draws` is no positive multiple of 4, if `latents` names no modality of the prediction,
        or if `weights` holds another number of draws.
    TypeError
        If `weights` is neither a mapping nor a guide.
    """
    check_draws(num_draws, {})
    _check_rows(prediction, batch)
    arrays = Arrays(
        mean=_numpy(prediction.mean),
        variance={source: _numpy(v) for source, v in prediction.variance.items()},
        available=prediction.available.cpu().numpy(),
        modalities=prediction.modalities,
        outputs=prediction.outputs,
        mask_pattern=prediction.mask_pattern,
        task=prediction.task,
        method=prediction.methods[0],
        probability=_probability(prediction),
        target=_target(prediction, batch),
        latents=_latents(prediction, latents, num_draws),
        weights=_weights(weights, num_draws, seed),
    )
    return as_arviz(groups(arrays, num_draws, seed))


def _check_rows(prediction: Prediction, batch: Batch) -> None:
    theirs, ours = tuple(batch.available.shape), tuple(prediction.available.shape)
    if theirs != ours or not bool((batch.available.cpu() == prediction.available.cpu()).all()):
        raise ValueError(
            f"`prediction` is of other rows than `batch`: available {ours} and {theirs}, or the "
            "same shape with other modalities missing. Give the batch that `predict` was given."
        )


def _probability(p: Prediction) -> np.ndarray | None:
    return _numpy(p.probabilities[p.methods[0]]) if p.probabilities else None


def _target(p: Prediction, batch: Batch) -> np.ndarray | None:
    """Classes (B,), labels as integers (B, C), or values (B, C); in the prediction's order."""
    target = None if batch.target is None else rows_of(p, batch).target
    if target is None:
        return None
    y = _plain(target)
    if p.task == "classification":
        return y
    y = y.reshape(len(y), -1)
    return y.astype(np.int64) if p.task == "multilabel" else y.astype(np.float64)


def _latents(
    p: Prediction, wanted: bool | Sequence[str], num_draws: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Location and scale of the modalities whose missing latents are to be drawn."""
    if wanted is False:
        return {}
    names = list(p.reconstruction if wanted is True else wanted)
    if unknown := [name for name in names if name not in p.reconstruction]:
        raise ValueError(
            f"`latents` names {unknown}; the prediction reconstructs {list(p.reconstruction)}."
        )
    absent = (~p.available).sum(0).tolist()
    rows = {name: absent[p.modalities.index(name)] for name in names}
    numbers = sum(
        num_draws * rows[n] * p.reconstruction[n].loc[0].numel() for n in names if rows[n]
    )
    if wanted is True and _too_many(numbers, "latents", "latents=False"):
        return {}
    return {n: (_numpy(p.reconstruction[n].loc), _numpy(p.reconstruction[n].scale)) for n in names}


def _weights(
    weights: WeightPosterior | Mapping[str, Tensor | np.ndarray] | None, num_draws: int, seed: int
) -> dict[str, np.ndarray]:
    if weights is None:
        return {}
    if isinstance(weights, Mapping):
        found = {name: _plain(draws) for name, draws in weights.items()}
        check_draws(num_draws, found)
        return found
    if not isinstance(weights, WeightPosterior):
        raise TypeError(
            "`weights` must be draws by name, or a guide such as `model.weights`; got "
            f"{type(weights).__name__}."
        )
    first = weights.sample(seed)
    if _too_many(num_draws * sum(w.numel() for w in first.values()), "weights", "weights=None"):
        return {}
    draws = [first, *(weights.sample(seed + k) for k in range(1, num_draws))]
    return {name: np.stack([_plain(draw[name]) for draw in draws]) for name in first}


def _too_many(numbers: int, what: str, silence: str) -> bool:
    if numbers <= MOST_NUMBERS:
        return False
    warnings.warn(
        f"The draws of the {what} would be {numbers:,} numbers, more than {MOST_NUMBERS:,}: they "
        f"are left out. Export fewer rows or draws, or name what you want; `{silence}` leaves them "
        "out without this warning.",
        stacklevel=4,
    )
    return True


def _plain(x: Tensor | np.ndarray) -> np.ndarray:
    """Half precision becomes single: NumPy has no bfloat16, and files have no float16."""
    if isinstance(x, Tensor):
        x = x.detach().cpu()
        x = (x.float() if x.dtype in (torch.float16, torch.bfloat16) else x).numpy()
    x = np.asarray(x)
    return x.astype(np.float32) if x.dtype == np.float16 else x


def _numpy(x: Tensor) -> np.ndarray:
    return _plain(x).astype(np.float64)
