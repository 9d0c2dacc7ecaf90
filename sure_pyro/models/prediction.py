"""What `SURE.predict` returns: the prediction, its variance by source, and where it came from."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor

from sure_pyro.data import Batch
from sure_pyro.data.patterns import mask_patterns
from sure_pyro.models.heads import Output
from sure_pyro.models.reconstructor import LocScale
from sure_pyro.propagation import Moments, cross_check

if TYPE_CHECKING:
    from sure_pyro.models.sure import SURE


@dataclass(frozen=True)
class Prediction:
    """Mean, variance by source and class probabilities of a batch, by one or two methods.

    Attributes
    ----------
    moments : dict of Moments
        By method: ``"none"`` (the point prediction with the head's own variance), ``"taylor"``,
        ``"sampling"``. In the units of the target for regression, on the logit scale for classes
        and labels. Sources are the modalities that were missing, ``"head"``, and ``"weights"``
        where a guide was given.
    probabilities : dict of Tensor, shapes ``(B, K)``
        By method, for classes and labels; empty for regression.
    reconstruction : dict of LocScale
        Of every modality, ``(B, L_i, D_i)``, in standard deviations of the latent.
    available : bool Tensor, shape ``(B, M)``
    modalities, outputs : tuple of str
        Names of the columns of `available`, and of the C outputs.
    task : {"classification", "regression", "multilabel"}
    """

    moments: dict[str, Moments]
    probabilities: dict[str, Tensor]
    reconstruction: dict[str, LocScale]
    available: Tensor
    modalities: tuple[str, ...]
    outputs: tuple[str, ...]
    task: str
    mask_pattern: np.ndarray = field(repr=False)

    @classmethod
    def collect(
        cls,
        model: "SURE",
        batch: Batch,
        moments: dict[str, Moments],
        reconstruction: dict[str, LocScale],
    ) -> "Prediction":
        """Assemble what the methods gave; turn total variances into probabilities (equation 8)."""
        C = moments["none"].mean.shape[-1]
        probabilities = {}
        for method, m in moments.items():
            p = model.head.probabilities(Output(m.mean, m.variance))
            if p is not None:  # the sampling method brings E[softmax] along
                probabilities[method] = p if m.expected is None else m.expected
        names = model.class_names if model.head.task != "regression" else None
        return cls(
            moments,
            probabilities,
            reconstruction,
            batch.available,
            batch.modalities,
            names if names and len(names) == C else tuple(f"y{c}" for c in range(C)),
            model.head.task,
            np.asarray(mask_patterns(batch)),
        )

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that were used, the first being what `mean` and `variance` report."""
        return tuple(r for r in ("taylor", "sampling", "none") if r in self.moments)

    @property
    def mean(self) -> Float[Tensor, "B C"]:
        """Predicted mean: the target's units, or logits."""
        return self.moments[self.methods[0]].mean

    @property
    def variance(self) -> dict[str, Float[Tensor, "B C"]]:
        """Variance by source; the sources add up to `total` (equation 8)."""
        return dict(self.moments[self.methods[0]].sources)

    @property
    def total(self) -> Float[Tensor, "B C"]:
        """Total predictive variance, equation 8."""
        return self.moments[self.methods[0]].variance

    @property
    def label(self) -> Tensor | None:
        """Most probable class ``(B,)``, labels ``(B, C)`` at 1/2, or None for regression."""
        if not self.probabilities:
            return None
        p = self.probabilities[self.methods[0]]
        return p.argmax(-1) if self.task == "classification" else (p > 0.5).long()

    def cross_check(self, **options):
        """Taylor against sampling, by output and source: see `sure_pyro.propagation.cross_check`.

        Raises
        ------
        ValueError
            If the prediction was not made with ``propagate="both"``.
        """
        if not {"taylor", "sampling"} <= set(self.moments):
            raise ValueError(
                f"A cross-check needs both methods; this prediction has {self.methods}. "
                "Use `model.predict(batch, propagate='both')`."
            )
        return cross_check(self.moments["taylor"], self.moments["sampling"], **options)

    def to_dataframe(self) -> pd.DataFrame:
        """One row per sample and output: mean, sd, variance by source, probability, mask."""
        B, C = self.mean.shape
        columns: dict[str, np.ndarray] = {
            "sample": np.repeat(np.arange(B), C),
            "output": np.tile(self.outputs, B),
            "mask_pattern": np.repeat(self.mask_pattern, C),
            "mean": _flat(self.mean),
            "sd": _flat(self.total.sqrt()),
        }
        columns |= {f"variance/{source}": _flat(v) for source, v in self.variance.items()}
        columns["variance/total"] = _flat(self.total)
        columns |= {f"probability/{method}": _flat(p) for method, p in self.probabilities.items()}
        return pd.DataFrame(columns)

    def to_dataset(self) -> xr.Dataset:
        """Labelled arrays with dimensions method, source, sample, output and modality.

        One method is ``dataset.sel({"method": "taylor"})``: as a keyword of `sel`, xarray takes
        ``method`` for something else.
        """
        sources = list(dict.fromkeys(s for m in self.moments.values() for s in m.sources))
        methods = list(self.methods)
        moments = [self.moments[method] for method in methods]
        variance = [[_numpy(m.sources.get(s, 0 * m.mean)) for s in sources] for m in moments]
        data = {
            "mean": (("method", "sample", "output"), np.stack([_numpy(m.mean) for m in moments])),
            "variance": (("method", "source", "sample", "output"), np.asarray(variance)),
            "total": (
                ("method", "sample", "output"),
                np.stack([_numpy(m.variance) for m in moments]),
            ),
            "available": (("sample", "modality"), _numpy(self.available)),
        }
        if self.probabilities:
            stacked = np.stack([_numpy(self.probabilities[method]) for method in methods])
            data["probability"] = (("method", "sample", "output"), stacked)
        coords = {
            "method": methods,
            "source": sources,
            "sample": np.arange(len(self.available)),
            "output": list(self.outputs),
            "modality": list(self.modalities),
            "mask_pattern": ("sample", self.mask_pattern),
        }
        return xr.Dataset(data, coords, attrs={"task": self.task})

    def summary(self) -> pd.DataFrame:
        """Mean over samples and outputs of the variance by source, for each mask pattern."""
        rows = {s: _numpy(v).mean(-1) for s, v in self.variance.items()}
        rows["total"] = _numpy(self.total).mean(-1)
        frame = pd.DataFrame(rows).groupby(pd.Series(self.mask_pattern, name="visible"))
        return frame.mean().assign(rows=frame.size())

    def __repr__(self) -> str:
        B, C = self.mean.shape
        head = (
            f"Prediction of {B} rows, {C} outputs ({self.task}), methods {', '.join(self.methods)}"
        )
        return f"{head}\nmean variance by source, for each mask:\n{self.summary().to_string()}"

    def _repr_html_(self) -> str:
        B, C = self.mean.shape
        return (
            f"<p><b>Prediction</b> of {B} rows, {C} outputs ({self.task}); methods: "
            f"{', '.join(self.methods)}. Mean variance by source, for each mask:</p>"
            f"{self.summary().to_html(float_format='{:.3g}'.format)}"
        )


def _numpy(x: Tensor) -> np.ndarray:
    """Half precision becomes single: NumPy has no bfloat16, and files have no float16."""
    x = x.detach().cpu()
    return (x.float() if x.dtype in (torch.float16, torch.bfloat16) else x).numpy()


def _flat(x: Tensor) -> np.ndarray:
    return _numpy(x).reshape(-1)
