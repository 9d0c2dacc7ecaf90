"""A prediction as an ArviZ object, for `az.summary`, `az.plot_ppc`, `az.loo` and `az.compare`.

========================  ======================================================================
group                     content
========================  ======================================================================
``posterior``             ``mu`` (chain, draw, sample, output) in units of the target, or ``logit``
                          (chain, draw, sample, class): draws given what is visible. They have not
                          seen the target.
``posterior_predictive``  ``y``: targets from the predictive distribution
``observed_data``         ``y``, where the batch has targets
``log_likelihood``        ``y`` (chain, draw, sample): log-likelihood at draws that *have* seen
                          the target, as leave-one-out needs them (`sure_pyro.diagnostics.draws`)
``constant_data``         ``available`` (sample, modality); ``variance`` by source; ``probability``;
                          ``log_predictive``, the log score of the prediction without any draws
========================  ======================================================================

With these, ``az.loo(idata).elpd_loo`` estimates ``log_predictive.sum()``, and `az.compare` ranks
models by the log score of what they said before they saw the target. For regression both agree up
to Monte Carlo error. For classes the draws treat the logits as Gaussian and independent, while
``probability`` is what the road made of them; expect a few per cent between the two.
``p_loo`` counts no parameters here: every row has its own unknown latents, and none are shared.

ArviZ 0.x (Python 3.11) has `InferenceData`, 1.x an xarray `DataTree`: see `as_arviz`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from torch import Tensor

from sure_pyro.data import Batch
from sure_pyro.diagnostics import draws as drawn
from sure_pyro.models import Prediction

CHAINS = 4
"""Draws are independent; they are laid out in chains because ArviZ compares chains."""


def to_arviz(prediction: Prediction, batch: Batch, *, num_draws: int = 1000, seed: int = 0) -> Any:
    """Export a prediction.

    Parameters
    ----------
    prediction : Prediction
        Its first road (Taylor, if it was taken) is exported; `constant_data` names it.
    batch : Batch
        What was predicted, B rows; with targets for `observed_data` and `log_likelihood`.
    num_draws : int
        In all, laid out in 4 chains; a multiple of 4.
    seed : int

    Returns
    -------
    arviz.InferenceData or xarray.DataTree
        Whichever the installed ArviZ works with. Both have ``to_netcdf(path)``.

    Raises
    ------
    ValueError
        If the rows of `prediction` and `batch` differ in number or in what is available, or
        `num_draws` is no positive multiple of 4.
    """
    _check(prediction, batch, num_draws)
    rng = np.random.default_rng(seed)
    name = "mu" if prediction.task == "regression" else "logit"
    posterior, predictive = _draws(prediction, num_draws, rng)
    groups = {
        "posterior": xr.Dataset({name: _chains(posterior, "output")}),
        "posterior_predictive": xr.Dataset({"y": _chains(predictive, "output")}),
    }
    if batch.target is not None:
        y = _target(prediction, batch)
        dims = ("sample", "output")[: y.ndim]
        log_likelihood = drawn.seen(*_parts(prediction), y, prediction.task, num_draws, rng)
        groups["log_likelihood"] = xr.Dataset({"y": _chains(log_likelihood, "output")})
        groups["observed_data"] = xr.Dataset({"y": (dims, y)})
        score = _log_predictive(prediction, y)
        groups["constant_data"] = _constant(prediction).assign(log_predictive=(dims, score))
    else:
        groups["constant_data"] = _constant(prediction)
    return as_arviz({name: _labelled(group, prediction) for name, group in groups.items()})


def as_arviz(groups: Mapping[str, xr.Dataset]) -> Any:
    """Groups as the object of the installed ArviZ: `InferenceData` (0.x) or `DataTree` (1.x)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # ArviZ 0.23 announces 1.0 at import
        import arviz
    if hasattr(arviz, "InferenceData"):
        return arviz.InferenceData(**dict(groups))  # type: ignore[arg-type]
    return xr.DataTree.from_dict({f"/{name}": group for name, group in groups.items()})


def _check(prediction: Prediction, batch: Batch, num_draws: int) -> None:
    if num_draws < CHAINS or num_draws % CHAINS:
        raise ValueError(f"`num_draws` must be a positive multiple of {CHAINS}; got {num_draws}.")
    theirs, ours = tuple(batch.available.shape), tuple(prediction.available.shape)
    if theirs != ours or not bool((batch.available.cpu() == prediction.available.cpu()).all()):
        raise ValueError(
            f"`prediction` is of other rows than `batch`: available {ours} and {theirs}, or the "
            "same shape with other modalities missing. Give the batch that `predict` was given."
        )


def _parts(p: Prediction) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, variance that comes from what is missing, and the head's own, each (B, C)."""
    head, total = _numpy(p.variance["head"]), _numpy(p.total)
    return _numpy(p.mean), (total - head).clip(min=0), head


def _probability(p: Prediction) -> np.ndarray | None:
    return _numpy(p.probabilities[p.roads[0]]) if p.probabilities else None


def _draws(p: Prediction, num_draws: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    mean, missing, head = _parts(p)
    outputs = drawn.unseen(mean, missing, num_draws, rng)
    return outputs, drawn.targets(_probability(p), mean, missing + head, p.task, num_draws, rng)


def _log_predictive(p: Prediction, y: np.ndarray) -> np.ndarray:
    """Log density or probability of the target under the prediction itself."""
    q = _probability(p)
    if q is None:
        total = _numpy(p.total)
        return -0.5 * (np.log(2 * np.pi * total) + np.square(y - _numpy(p.mean)) / total)
    floor = np.finfo(np.float32).eps
    chosen = q[np.arange(len(y)), y] if p.task == "classification" else np.where(y > 0.5, q, 1 - q)
    return np.log(chosen.clip(min=floor))


def _target(p: Prediction, batch: Batch) -> np.ndarray:
    """Classes (B,), labels as integers (B, C), or values (B, C)."""
    assert batch.target is not None
    y = batch.target.detach().cpu().numpy()
    if p.task == "classification":
        return y
    y = y.reshape(len(y), -1)
    return y.astype(np.int64) if p.task == "multilabel" else y.astype(np.float64)


def _constant(p: Prediction) -> xr.Dataset:
    data = {
        "available": (("sample", "modality"), p.available.cpu().numpy()),
        "variance": (
            ("source", "sample", "output"),
            np.stack([_numpy(v) for v in p.variance.values()]),
        ),
    }
    if (q := _probability(p)) is not None:
        data["probability"] = (("sample", "output"), q)
    return xr.Dataset(data, attrs={"road": p.roads[0], "task": p.task})


def _chains(x: np.ndarray, last: str) -> tuple[tuple[str, ...], np.ndarray]:
    """(S, B[, C]) as (chain, draw, sample[, output])."""
    dims = ("chain", "draw", "sample", last)[: x.ndim + 1]
    return dims, x.reshape(CHAINS, -1, *x.shape[1:])


def _labelled(group: xr.Dataset, p: Prediction) -> xr.Dataset:
    """Coordinates, with the outputs of a classification named ``class``."""
    outputs = "output" if p.task == "regression" else "class"
    if "output" in group.dims and outputs != "output":
        group = group.rename_dims(output=outputs)
    values = {
        "chain": np.arange(CHAINS),
        "draw": np.arange(group.sizes.get("draw", 0)),
        "sample": np.arange(len(p.available)),
        outputs: list(p.outputs),
        "modality": list(p.modalities),
        "source": list(p.variance),
    }
    coords: dict[str, Any] = {str(dim): values[str(dim)] for dim in group.dims}
    if "sample" in group.dims:
        coords["mask_pattern"] = ("sample", p.mask_pattern.astype(str))
    return group.assign_coords(coords)


def _numpy(x: Tensor) -> np.ndarray:
    return x.detach().cpu().numpy().astype(np.float64)
