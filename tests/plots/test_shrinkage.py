import numpy as np
import pandas as pd

from sure_pyro.calibration.arrays import VarianceRecalibration
from sure_pyro.plots import plot_shrinkage


def test_own_and_shared_weights_add_up_to_one(ax):
    rng = np.random.default_rng(0)
    pattern = np.array(["a"] * 300 + ["b"] * 20)
    fit = VarianceRecalibration.fit(
        np.ones(320), rng.standard_normal(320) ** 2, pattern, pseudo_count=20.0
    )
    plot_shrinkage(fit.to_dataframe(), ax)
    own, shared = ax.containers
    assert [bar.get_width() for bar in own] == [300 / 320, 0.5]
    assert [bar.get_x() + bar.get_width() for bar in shared] == [1, 1]
    assert shared[0].get_hatch() != own[0].get_hatch()
    assert len(ax.get_yticklabels()) == 2  # "overall" is not a pattern


def test_new_axes():
    table = pd.DataFrame({"pattern": ["a"], "rows": [9], "weight": [0.25]})
    assert plot_shrinkage(table).get_xlabel() == "weight"
