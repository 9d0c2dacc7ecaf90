r"""PIT of an ArviZ object, row by row, for any task.

Where the target stands among its S predictive draws:

.. math:: u = \frac1{S + 1} \Big(\sum_s [y_s < y] + v\,\big(1 + \sum_s [y_s = y]\big)\Big),
          \qquad v \sim U(0, 1)

which is uniform if the target is one more draw of the same distribution: exactly so, for
continuous targets and, because ties are broken at random, for counts, classes and labels (the
randomised PIT; Czado, Gneiting and Held 2009, Biometrics 65, 1254-1261). For classes it goes by
their number: a histogram that is not flat is evidence of a fault, and a flat one does not exclude
that faults of several classes cancel.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from sure_pyro.diagnostics.adapter import group


def predictive_pit(idata: Any, *, seed: int = 0) -> xr.DataArray:
    """PIT of every target, with its mask pattern.

    Parameters
    ----------
    idata : arviz.InferenceData or xarray.DataTree
        From `to_arviz`, with targets.
    seed : int
        Of the random places among ties.

    Returns
    -------
    DataArray
        In (0, 1), shaped like ``observed_data.y``; its coordinate ``mask_pattern`` is what
        `sure_pyro.plots.plot_pit_grid` splits it by.

    Raises
    ------
    ValueError
        If there are no observed targets.
    """
    y = group(idata, "observed_data")["y"]
    draws = group(idata, "posterior_predictive")["y"]
    below = (draws < y).sum(("chain", "draw"))
    ties = (draws == y).sum(("chain", "draw"))
    v = np.random.default_rng(seed).random(y.shape)
    places = draws.sizes["chain"] * draws.sizes["draw"] + 1
    return ((below + v * (1 + ties)) / places).rename("pit")
