"""From the joint run and the runs of single sources to one variance by source."""

from __future__ import annotations

from torch import Tensor

from sure_pyro.propagation.inputs import Inputs
from sure_pyro.propagation.moments import INTERACTION, JOINT, TOTAL, Moments
from sure_pyro.propagation.runs import Run


def decompose(inputs: Inputs, runs: list[Run], by_source: bool, head: str) -> Moments:
    """Moments by source: each single source, what they do together, and the head.

    In a row with one uncertain source, that source is the joint run and nothing interacts.
    """
    joint, *single = [run.estimate() for run in runs]

    def split(total: Tensor, alone: list[Tensor]) -> dict[str, Tensor]:
        if not by_source and len(runs[0].sources) > 1:
            return {JOINT: total}
        return _split(inputs, runs[1:], total, alone)

    sources = split(joint.variance, [e.variance for e in single])
    errors = split(joint.variance_error, [e.variance_error for e in single])
    total_error = joint.variance_error
    covariances = None
    if runs[0].output_covariance:
        covariances = split(runs[0].covariance(), [run.covariance() for run in runs[1:]])
    if single:
        errors[INTERACTION] = _interaction_error(inputs, total_error, errors)
    if runs[0].noise.n:
        sources[head], errors[head] = joint.noise, joint.noise_error
        total_error = (total_error.square() + joint.noise_error.square()).sqrt()
        if covariances is not None:
            covariances[head] = joint.noise.diag_embed()
    return Moments(
        mean=joint.mean,
        sources=sources,
        covariances=covariances,
        mean_error=joint.mean_error,
        errors={**errors, TOTAL: total_error},
        explained=joint.explained,
        expected=runs[0].expected,
        rows_share_draws=inputs.weights is not None,
        num_samples=runs[0].sums.n,
        method="sampling",
    ).each(lambda value: value.to(inputs.dtype))


def _split(
    inputs: Inputs, runs: list[Run], joint: Tensor, alone: list[Tensor]
) -> dict[str, Tensor]:
    """Spread over the sources: the value of its own run, or else of the joint run; and the rest."""
    trailing = (1,) * (joint.ndim - 1)
    active = inputs.active
    parts = {name: joint * rows.reshape(-1, *trailing) for name, rows in active.items()}
    for run, value in zip(runs, alone, strict=True):
        (name,) = run.sources
        parts[name] = parts[name].index_copy(0, run.rows, value)
    if alone:
        parts[INTERACTION] = joint - sum(parts.values())
    return parts


def _interaction_error(inputs: Inputs, joint: Tensor, errors: dict[str, Tensor]) -> Tensor:
    # All runs share their noise, so their errors tend to cancel in the difference, and this
    # sum of squares is an upper end. Rows with a single source have no interaction at all.
    several = inputs.num_uncertain() > 1
    square = joint.square() + sum(e.square() for k, e in errors.items() if k != INTERACTION)
    return square.sqrt() * several[:, None]
