import numpy as np
import pandas as pd
import pytest

from experiments.objectives import degradation


def history(rho, phase="reconstruction", **columns):
    epochs = range(len(rho))
    return pd.DataFrame({
        "data": "d", "model": "m", "seed": 0, "phase": phase, "epoch": epochs,
        "validation/rho/z_a": rho, "validation/rho/z_b": rho, **columns,
    })  # fmt: skip


def test_what_was_reached_and_lost_again():
    rho = np.concatenate([np.linspace(0, 0.5, 20), np.linspace(0.5, 0.2, 20)])
    found = degradation(history(rho)).iloc[0]
    # a mean over five epochs takes a little off the tip, and the last is one over three
    assert found["best"] == pytest.approx(0.5, abs=0.03)
    assert found["best_epoch"] in (18, 19, 20, 21)
    assert found["last"] == pytest.approx(rho[-3:].mean())
    assert found["lost"] == pytest.approx(found["best"] - found["last"])


def test_only_phases_that_train_the_scale_count():
    rho = np.full(10, 0.3)
    both = pd.concat([history(rho), history(rho + 0.5, "head"), history(rho - 0.2, "location")])
    assert degradation(both)["best"].tolist() == pytest.approx([0.3])
    assert degradation(history(rho, "scale"))["epochs"].tolist() == [10]
