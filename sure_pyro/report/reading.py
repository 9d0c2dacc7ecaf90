"""The verdict of reconstructability, as this report reads it."""

from __future__ import annotations

from sure_pyro.metrics.reconstructed import Reconstructability

NOTHING, LITTLE, CLASS_ONLY, PART, MOST = "nothing", "little", "the class only", "part", "most"
CERTAIN = 0.05  # an R^2 whose lower end is above it is more than nothing
MAINLY = 0.3  # an R^2 between classes from which on the class can be said to be told


def reading(r: Reconstructability) -> str:
    """Verdict in words, in which a class that shows through is not called nothing.

    The total R^2 can be no better than that of the mean although the class was told: what was made
    up within the classes then costs as much as the class explains. Where the R^2 between classes is
    at least `MAINLY`, with its lower end above `CERTAIN`, and the lower end within classes is not,
    the verdict is ``"the class only"``.
    """
    if r.verdict not in (NOTHING, LITTLE) or r.between is None or r.within is None:
        return r.verdict
    told = r.between.estimate >= MAINLY and r.between.lower >= CERTAIN
    return CLASS_ONLY if told and r.within.lower < CERTAIN else r.verdict
