"""`CalibratedSURE`: a fitted model whose variances and probabilities were made right per mask."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool
from torch import Tensor

from sure_pyro.backbones import Backbone
from sure_pyro.calibration.held_out import held_out_in_order, sampling_options, target_array
from sure_pyro.calibration.maps import OutputMap, ReconstructionMaps
from sure_pyro.data import Batch
from sure_pyro.data.masked_rows import MaskedRows
from sure_pyro.data.store import LatentStore
from sure_pyro.evaluation.hidden import hidden_latents
from sure_pyro.evaluation.rows import pattern_in, rows_for
from sure_pyro.models import SURE, Latents, LocScale, Prediction
from sure_pyro.stored import Stored, read_json, write_json

FILE, WEIGHTS = "calibration.json", "weights.safetensors"
FORMAT = 4


@dataclass(frozen=True, eq=False)
class Calibration(Stored):
    """What is done to a model's numbers, and what it was fitted on.

    Parameters
    ----------
    reconstruction : ReconstructionMaps or None
        Before the propagation.
    output : dict
        After it, by method; None under a method that stays as it is.
    rows : int
        Held-out rows, each under several masks.
    updated_rows : int
        With how many rows it was updated online since.
    """

    reconstruction: ReconstructionMaps | None
    output: Mapping[str, OutputMap | None]
    rows: int
    updated_rows: int = 0

    def to_dataframe(self) -> pd.DataFrame:
        """Give all maps: part, target, pattern, rows, weight of the pattern's own fit, and factor.

        ``scale`` is the factor on variances (of a curve: of its mean), ``used`` a temperature.
        """
        frames = []
        if self.reconstruction is not None:
            frames.append(self.reconstruction.to_dataframe().assign(part="reconstruction"))
        for method, fitted in self.output.items():
            if fitted is not None:
                frames.append(fitted.to_dataframe().assign(part=f"output/{method}"))
        table = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
        first = [c for c in ("part", "target", "pattern", "rows", "weight") if c in table]
        return table[[*first, *(c for c in table if c not in first)]]


@dataclass(frozen=True, eq=False, repr=False)
class CalibratedPrediction(Prediction):
    """A `Prediction` whose variances and probabilities were calibrated.

    Attributes
    ----------
    seen : bool ndarray, shape ``(B,)``
        Whether the calibration knew the row's mask pattern; where not, it is the overall fit.
    updated_rows : int
        With how many rows the calibration was updated online before.
    """

    seen: Bool[np.ndarray, " B"] = field(default_factory=lambda: np.zeros(0, dtype=bool))
    updated_rows: int = 0

    def to_dataframe(self) -> pd.DataFrame:
        """As `Prediction.to_dataframe`, with a column ``seen``."""
        return super().to_dataframe().assign(seen=np.repeat(self.seen, len(self.outputs)))

    def summary(self) -> pd.DataFrame:
        """As `Prediction.summary`, with a column ``seen``."""
        table = super().summary()
        return table.assign(seen=pd.Series(self.seen).groupby(self.mask_pattern).all())


class CalibratedSURE(SURE):
    """A fitted model with a calibration; `sure_pyro.recalibrate` makes one.

    It shares its weights with the model that it was made of, and predicts like it, but that the
    scales of the reconstructions are recalibrated before they are propagated, and total variances
    or probabilities after it. Fit the model again, and it must be recalibrated again.
    """

    calibration: Calibration

    @classmethod
    def of(cls, model: SURE, calibration: Calibration) -> CalibratedSURE:
        """Put a calibration on a fitted model."""
        # Parameters and submodules stay those of `model`; a copy would hold a backbone twice.
        made = object.__new__(cls)
        made.__dict__.update({**model.__dict__, "calibration": calibration})
        return made

    def uncalibrated(self) -> SURE:
        """Give the model beneath, with the same weights."""
        model = object.__new__(SURE)
        model.__dict__.update({k: v for k, v in self.__dict__.items() if k != "calibration"})
        return model

    def encode_training(self, train: Batch | LatentStore, *args: Any, **options: Any) -> Latents:
        """Refuse: a calibrated model is not trained on."""
        raise ValueError(
            "A calibrated model is not trained: its calibration is for the weights that it has. "
            "Fit `model.uncalibrated()`, and recalibrate it again."
        )

    def reconstruct(self, latents: Latents, visible: Mapping[str, Tensor]) -> dict[str, LocScale]:
        """See `SURE.reconstruct`; the scales are recalibrated."""
        reconstruction = super().reconstruct(latents, dict(visible))
        before = self.calibration.reconstruction
        return reconstruction if before is None else before(reconstruction, visible)

    def predict(
        self,
        batch: Batch | MaskedRows | LatentStore,
        propagate: str = "taylor",
        **options: Any,
    ) -> CalibratedPrediction:
        """Predict as `SURE.predict` does, with the same arguments.

        Raises
        ------
        ValueError
            As there, or if the calibration was not fitted for one of the methods.
        """
        prediction = super().predict(batch, propagate, **options)
        unknown = [m for m in prediction.moments if m not in self.calibration.output]
        if unknown:
            raise ValueError(
                f"The calibration knows the methods {list(self.calibration.output)}; got "
                f"{unknown}. Use `recalibrate(..., propagate='both')` for both of them."
            )
        return calibrated_prediction(prediction, self.calibration)

    def update_online(
        self,
        batch: Batch,
        step: float = 0.01,
        *,
        masks: str | None = None,
        num_samples: int = 200,
        seed: int = 0,
    ) -> CalibratedSURE:
        """Take in outcomes that have become known, where the world drifts.

        Predict the rows of a day, update with them when their outcomes are known, and predict the
        next day with what comes back. No weight is trained: scales, variances and temperatures move
        a little with every row. Conformal fits on this model must be updated too, and a policy be
        fitted again.

        Parameters
        ----------
        batch : Batch
            Rows whose targets became known together, after those of the updates before. Each
            teaches under every mask that it can have, what it has being hidden on purpose.
        step : float in (0, 1)
            How fast: a variance is about an average over the last 1 / `step` rows of its pattern.
            Smaller is steadier, larger is sooner right after a change. At most 1 over the rows of
            `batch`, and for classes less.
        masks, num_samples, seed
            As in `sure_pyro.recalibrate`. Where what is missing says something about the error,
            ``"recorded"`` updates the outputs by the rows as they are; it hides nothing, so scales
            of reconstructions stay.

        Returns
        -------
        CalibratedSURE
            With the same weights. Within every pattern, predicted variances are squared errors and
            predicted error rates observed ones in the mean over the long run, whatever order
            outcomes come in, as long as errors stay bounded and no more answers are wrong than a
            guess gets wrong. How far is told in `sure_pyro.calibration.arrays.online`.

        Raises
        ------
        ValueError
            If there are no rows or no targets, the rows do not fit the model, or an option is out
            of range.
        """
        base, before = self.uncalibrated(), self.calibration
        batch, maps = rows_for(base, batch, "batch"), before.reconstruction
        masked = held_out_in_order(batch, masks, seed, before.updated_rows)
        if maps is not None:
            as_fitted = base.predict(masked, "none", num_weights=0).reconstruction
            hidden = hidden_latents(base, masked, as_fitted)
            maps = maps.update_online(hidden, masked.pattern, step)
        p = before_outputs(base, before, masked, num_samples, seed)
        y = target_array(masked, p.task)
        output = {
            m: fitted
            and fitted.update_online(p.moments[m], p.probabilities.get(m), y, masked.pattern, step)
            for m, fitted in before.output.items()
        }
        updated_rows = before.updated_rows + len(batch)
        return CalibratedSURE.of(base, Calibration(maps, output, before.rows, updated_rows))

    def save(self, path: str | Path) -> None:
        """Write the model as `SURE.save` does, and ``calibration.json`` beside it."""
        super().save(path)
        state = {
            "format": FORMAT,
            "weights": _fingerprint(Path(path) / WEIGHTS),
            "calibration": self.calibration.to_dict(),
        }
        write_json(Path(path) / FILE, state)

    @classmethod
    def load(cls, path: str | Path, backbone: Backbone | None = None) -> CalibratedSURE:
        """Read what `save` wrote; predictions are the same, bit for bit.

        `SURE.load` reads the model of the same directory without its calibration.

        Raises
        ------
        ValueError
            As in `SURE.load`; or if the calibration was stored by another version, or fitted to
            other weights.
        """
        state = read_json(Path(path) / FILE)
        if state["format"] != FORMAT:
            raise ValueError(
                f"{path} has format {state['format']}; this version reads {FORMAT}. Recalibrate "
                "the model, and save it again."
            )
        if state["weights"] != _fingerprint(Path(path) / WEIGHTS):
            raise ValueError(
                f"The calibration in {path} was fitted to other weights than those beside it: the "
                "model was saved there again. Recalibrate it, and save that."
            )
        return cls.of(SURE.load(path, backbone), Calibration.from_dict(state["calibration"]))

    def __repr__(self) -> str:
        """As `SURE`, with a line on the calibration."""
        c = self.calibration
        before = "none" if c.reconstruction is None else ", ".join(c.reconstruction.maps)
        after = ", ".join(m for m, fitted in c.output.items() if fitted is not None) or "none"
        since = f", updated online with {c.updated_rows:,} rows since" if c.updated_rows else ""
        return (
            f"{super().__repr__()}\n  calibrated on {c.rows:,} held-out rows{since}: "
            f"reconstructions of {before}; outputs by {after}"
        )


def calibrated_prediction(prediction: Prediction, calibration: Calibration) -> CalibratedPrediction:
    """Apply what comes after the propagation."""
    pattern = pattern_in(prediction)
    seen = np.ones(len(pattern), dtype=bool)
    if calibration.reconstruction is not None:
        seen = calibration.reconstruction.seen(pattern, prediction.available.cpu().numpy())
    moments, probabilities = dict(prediction.moments), dict(prediction.probabilities)
    for method in moments:
        fitted = calibration.output[method]
        if fitted is not None:
            found = fitted(moments[method], probabilities.get(method), pattern)
            moments[method], seen = found.moments, seen & found.seen
            if found.probabilities is not None:
                probabilities[method] = found.probabilities
    kept = {f.name: getattr(prediction, f.name) for f in fields(prediction)}
    kept |= {"moments": moments, "probabilities": probabilities}
    return CalibratedPrediction(**kept, seen=seen, updated_rows=calibration.updated_rows)


def before_outputs(
    base: SURE, calibration: Calibration, masked: MaskedRows, num_samples: int, seed: int
) -> Prediction:
    """Predict with reconstructions calibrated and outputs not yet, by every method it knows."""
    methods = set(calibration.output) - {"none"}
    propagate = "both" if len(methods) > 1 else next(iter(methods), "none")
    options = sampling_options(propagate, num_samples, seed)
    half = replace(calibration, output=dict.fromkeys(calibration.output))
    return CalibratedSURE.of(base, half).predict(masked, propagate, **options)


def _fingerprint(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
