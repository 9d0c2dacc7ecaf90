"""The pictures of a report: which data, drawn by which function of `sure_pyro.plots`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sure_pyro import plots
from sure_pyro.evaluation.observed import LOSSES
from sure_pyro.plots.figures import figure_of, png
from sure_pyro.report import curves, examples
from sure_pyro.report.decode import fit_decoders
from sure_pyro.report.study import Study

HIGH = 5.0  # inches, of a picture whose axes have one scale


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture.

    Parameters
    ----------
    name : str
        Of the section in `sure_pyro.report.sections`, and of the file.
    plot : Callable
        Of `sure_pyro.plots`.
    data : tuple
        What it takes.
    options : mapping
        Keywords of `figure_of` and of the function.
    """

    name: str
    plot: Callable
    data: tuple
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def file(self) -> str:
        """Name of its file."""
        return f"{self.name}.png"

    def png(self) -> bytes:
        """Draw it."""
        return png(figure_of(self.plot, *self.data, **self.options))


def pictures(study: Study) -> Iterator[Picture]:
    """Every picture of a report, in the order of the page."""
    yield from _of_examples(study)
    yield from _of_reconstruction(study)
    yield from _of_prediction(study)


def _of_reconstruction(study: Study) -> Iterator[Picture]:
    outcome, masked, targets = study.outcome, study.masked, study.evidence.targets
    if targets:
        size = (7.0, 1.6 + 0.5 * len(targets))
        yield Picture(
            "reconstructability", plots.plot_reconstructability, (targets,), {"size": size}
        )
    histories = {name: fitted.history for name, fitted in study.models.items()}
    yield Picture("correlation_epochs", plots.plot_correlation_history, (histories,))
    yield Picture("correlations", plots.plot_correlations, (curves.correlations(study.slices),))
    bins = curves.variance_reliability(outcome, masked)
    yield _high("reliability_variance", plots.plot_variance_reliability, bins)
    values, pattern = curves.pit_by_pattern(outcome, masked)
    n = min(curves.PATTERNS, len(np.unique(pattern)))
    grid = (-(-n // 4), min(n, 4))
    look = {"size": (9.0, 2.2 * grid[0]), "grid": grid, "share_y": "all"}
    yield Picture("pit", plots.plot_pit_grid, (values, pattern), look)
    sparse = curves.sparsifications(outcome, masked)
    yield Picture("sparsification", plots.plot_sparsification, (sparse,))


def _of_prediction(study: Study) -> Iterator[Picture]:
    outcome, masked = study.outcome, study.masked
    if bins := curves.confidence(outcome, masked):
        yield _high("reliability_confidence", plots.plot_confidence_reliability, bins)
    risks, loss = curves.risks(outcome, masked), LOSSES[outcome.observed.task]
    yield Picture("risk_coverage", plots.plot_risk_coverage, (risks,), {"loss": loss})
    yield Picture("variance_shares", plots.plot_variance_shares, (curves.shares(study.slices),))
    check = curves.checked(outcome, masked)
    yield _high("cross_check", plots.plot_cross_check, check)


def _of_examples(study: Study) -> Iterator[Picture]:
    model = study.models[study.settings.main].model
    decoders = fit_decoders(model, study.parts.train, study.parts.validation, study.settings.seed)
    masked, prediction = study.masked, study.outcome.prediction
    if examples.is_digits(study.parts.test.modalities, decoders):
        for k in (1, 2, 3):
            yield digits_picture(k, examples.digits(masked, prediction, decoders, k))
        return
    others = {}
    for name, decoder in decoders.items():
        images = examples.images(masked, prediction, decoder, name)
        if images is None:
            others[name] = decoder
        else:
            yield image_picture(name, images)
    if lines := examples.curves(masked, prediction, others):
        length = len(next(iter(others.values())).shape)
        yield curves_picture(lines, "time step" if length == 2 else "feature")


def digits_picture(k: int, found: examples.Images) -> Picture:
    """Digits with k quadrants hidden."""
    look = {"limits": (0.0, 16.0), "unit": "grey", "size": (9.0, 4.6), "grid": (4, 1)}
    return _images(f"examples_{k}", found, look)


def image_picture(modality: str, found: examples.Images) -> Picture:
    """Images of one modality."""
    look = {"name": modality, "size": (9.0, 3.6), "grid": (3, 1)}
    return _images(f"image_{modality}", found, look)


def curves_picture(found: Mapping[str, list[examples.Curve]], xlabel: str) -> Picture:
    """Everything else."""
    size, grid = (9.0, 2.1 * len(found)), (len(found), examples.CURVES)
    look = {"size": size, "grid": grid, "share_y": "row", "xlabel": xlabel}
    return Picture("examples", plots.plot_reconstructed_curves, (found,), look)


def _images(name: str, found: examples.Images, look: Mapping[str, Any]) -> Picture:
    more = {"seen": found.seen, "framed": found.framed, "labels": found.labels}
    data = (found.truth, found.mean, found.sd)
    return Picture(name, plots.plot_reconstructed_images, data, {**look, **more})


def _high(name: str, plot: Callable, data: Any) -> Picture:
    return Picture(name, plot, (data,), {"size": (7.0, HIGH)})
