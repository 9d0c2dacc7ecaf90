"""The objectives side by side, on the same rows and masks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float

from sure_pyro.data.masked_rows import MaskedRows
from sure_pyro.evaluation import hidden_latents
from sure_pyro.evaluation.observed import Observed
from sure_pyro.evaluation.pairs import Pairs
from sure_pyro.evaluation.predicted import Predicted
from sure_pyro.evaluation.slices import RANDOM, hidden_slices
from sure_pyro.models import SURE
from sure_pyro.report.evidence import Compared
from sure_pyro.report.measure import nll_rows, paired
from sure_pyro.report.reconstruction import independent_errors, measure_uncertainty
from sure_pyro.report.tables import label_of


def compare_objectives(
    models: Mapping[str, SURE], main: str, masked: MaskedRows, seed: int
) -> dict[str, Compared]:
    """Measure each model over random masks; gains are over the model `main`."""
    rows, observed, pattern = (
        hidden_slices(masked)[RANDOM],
        Observed.of(masked.batch),
        masked.pattern,
    )
    predictions = {name: model.predict(masked, "taylor") for name, model in models.items()}
    predicted = {name: Predicted.of(p, "taylor") for name, p in predictions.items()}
    loss = {name: observed.loss(p)[rows] for name, p in predicted.items()}
    nll = {name: nll_rows(observed, p, pattern)[rows] for name, p in predicted.items()}
    unit = masked.unit[rows]

    def gain(values: Mapping[str, Float[np.ndarray, " n"]], name: str):
        return paired(values[main] - values[name], unit, seed)

    found = {}
    for name, p in predictions.items():
        hidden = hidden_latents(models[name], masked, p.reconstruction)
        pairs, independent = (
            Pairs.of(hidden, pattern, seed),
            independent_errors(hidden, pattern, seed),
        )
        found[name] = Compared(
            uncertainty=measure_uncertainty(pairs, independent, rows),
            score=float(1 - loss[name].mean()),
            nll=float(nll[name].mean()),
            score_gain=gain(loss, name),
            nll_gain=gain(nll, name),
        )
    return found


def objectives_frame(
    compared: Mapping[str, Compared], seconds: Mapping[str, float], score: str
) -> pd.DataFrame:
    """One line for each objective."""
    lines = {}
    for name, c in compared.items():
        u = c.uncertainty
        lines[name] = {
            label_of("correlation_within"): u.within if u else np.nan,
            label_of("correlation_attainable"): u.attainable if u else np.nan,
            label_of("correlation_pooled"): u.pooled if u else np.nan,
            label_of("variance_ratio"): u.ratio if u else np.nan,
            label_of("reconstruction_error"): u.observed if u else np.nan,
            score: c.score,
            label_of("nll"): c.nll,
            "seconds": seconds[name],
        }
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("objective")
