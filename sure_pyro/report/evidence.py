"""The numbers of the report, as typed results: what the conclusions are drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sure_pyro.metrics.bootstrap import Interval
from sure_pyro.metrics.reconstructed import Reconstructability

METHOD_NAMES = {"none": "point", "taylor": "Taylor", "sampling": "sampling"}
"""Methods of propagation, as people read them."""


@dataclass(frozen=True)
class Task:
    """What missing modalities cost, and what filling them in wins back.

    Parameters
    ----------
    score : str
        ``"accuracy"``, ``"label accuracy"`` or ``"R²"``: larger is better, 1 is perfect.
    second_score : str
        ``"F1"`` (macro) or ``"RMSE"`` (units of the target).
    second : dict of str to float
        By name of the answer: ``"full"``, ``"zero"``, ``"mean"``, ``"swapped"``, ``"sure"``.
    full, zero, mean, swapped, sure : float
        Score with everything recorded; with the gaps of the pretrained model filled by zero, by
        the mean, by the reconstruction; and of SURE, whose head was trained on reconstructions.
    loss : Interval
        full - zero: what zero filling loses.
    gain_zero, gain_mean : Interval
        SURE minus zero filling, and minus mean filling; paired by row.
    gain_swapped : Interval
        The pretrained model with reconstructions minus the same with means: what is won without a
        new head.
    """

    score: str
    second_score: str
    second: Mapping[str, float]
    full: float
    zero: float
    mean: float
    swapped: float
    sure: float
    loss: Interval
    gain_zero: Interval
    gain_mean: Interval
    gain_swapped: Interval

    @property
    def won_back(self) -> float | None:
        """Share of the loss of zero filling that SURE wins back.

        None where zero filling loses nothing for certain: a share of nothing says nothing.
        """
        if self.loss.lower <= 0:
            return None
        return (self.sure - self.zero) / (self.full - self.zero)


@dataclass(frozen=True)
class Uncertainty:
    """Whether the uncertainty of the reconstruction ranks, and whether it has the right size.

    Parameters
    ----------
    within, pooled : float
        Correlation of uncertainty and error, within mask patterns and over all of them.
    attainable, attainable_independent : float
        What `within` would be if the predicted variances were right: errors resampled from other
        rows of the mask, and errors independent per latent entry.
    rows, cells, dropped : int
        Pairs (row, hidden modality) and cells (mask, hidden modality) that `within` rests on, and
        pairs in cells too small to count.
    predicted, observed : float
        Mean predicted variance and mean squared error of the reconstruction, in units of the
        latent's variance: 1 is what predicting the mean gives.
    """

    within: float
    pooled: float
    attainable: float
    attainable_independent: float
    rows: int
    cells: int
    dropped: int
    predicted: float
    observed: float

    @property
    def ratio(self) -> float:
        """Predicted over observed variance; 1 is right, below 1 overconfident."""
        return self.predicted / self.observed if self.observed > 0 else float("inf")


@dataclass(frozen=True)
class Propagation:
    """Whether carrying the variance to the prediction pays, and whether the two methods agree.

    Parameters
    ----------
    nll, aurc : dict of str to float
        By method (``"none"``, ``"taylor"``, ``"sampling"``): negative log-likelihood in nats per
        row, and area under the risk-coverage curve.
    taylor, sampling : Interval
        Negative log-likelihood minus that of the point prediction (method ``"none"``); paired.
    between : Interval
        Sampling minus Taylor.
    verdicts : dict of str to int
        How many outputs got which verdict of the cross-check, for the total variance.
    ratio : float
        Taylor over sampling, of the variance that comes from missing modalities; 1 if none does.
    shares : dict of str to float
        Share of the predictive variance by source, by Taylor.
    """

    nll: Mapping[str, float]
    aurc: Mapping[str, float]
    taylor: Interval
    sampling: Interval
    between: Interval
    verdicts: Mapping[str, int]
    ratio: float
    shares: Mapping[str, float]


@dataclass(frozen=True)
class Slice:
    """Everything measured on one part of the evaluation: one size of the mask, or all of them."""

    name: str
    rows: int
    task: Task
    uncertainty: Uncertainty | None
    propagation: Propagation


@dataclass(frozen=True)
class Compared:
    """One objective among those that were compared, over random masks.

    Parameters
    ----------
    uncertainty : Uncertainty or None
    score, nll : float
        Of SURE by Taylor.
    score_gain, nll_gain : Interval
        How much better it is than the model that the report is on: difference of the scores, and
        nats per row; paired.
    """

    uncertainty: Uncertainty | None
    score: float
    nll: float
    score_gain: Interval
    nll_gain: Interval


@dataclass(frozen=True)
class Evidence:
    """Everything that the rules of `sure_pyro.report.conclusions` look at.

    Parameters
    ----------
    random : Slice
        Over all masks that hide something.
    targets : dict of str to Reconstructability
        By modality, over the same masks; modalities that are never hidden are left out.
    best_case : dict of str to float
        R^2 of each target with all other modalities visible.
    objectives : dict of str to Compared
        Those that were compared, the one that the report is on among them.
    ratio_validation : float
        Predicted over observed variance on the validation part.
    test_rows : int
    test_groups : int or None
        Where the data has groups.
    new_groups : bool
        No group of the test part occurs in training or validation.
    """

    random: Slice
    targets: Mapping[str, Reconstructability]
    best_case: Mapping[str, float]
    objectives: Mapping[str, Compared]
    ratio_validation: float
    test_rows: int
    test_groups: int | None
    new_groups: bool
