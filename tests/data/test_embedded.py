"""The embedded datasets are what scikit-learn holds, cut into modalities."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes, load_digits

from sure_pyro.data import load
from sure_pyro.data.embedded import DIABETES


def test_quadrants_put_the_digit_together_again():
    batch = load("digits")
    q = {name: x.reshape(-1, 4, 4) for name, x in batch.features.items()}
    assert list(q) == ["top_left", "top_right", "bottom_left", "bottom_right"]
    top = torch.cat([q["top_left"], q["top_right"]], 2)
    bottom = torch.cat([q["bottom_left"], q["bottom_right"]], 2)
    np.testing.assert_array_equal(torch.cat([top, bottom], 1).numpy(), load_digits().images)
    assert batch.target.tolist() == load_digits().target.tolist()
    assert batch.class_names == tuple("0123456789")


def test_diabetes_columns_are_all_there_once():
    batch, source = load("diabetes"), load_diabetes(scaled=False)
    assert sorted(c for names in DIABETES.values() for c in names) == sorted(source.feature_names)
    bmi = source.data[:, source.feature_names.index("bmi")]
    np.testing.assert_allclose(batch.features["body"][:, 2].numpy(), bmi, rtol=1e-6)
    assert batch.task == "regression"
    assert {name: x.shape[1] for name, x in batch.features.items()} == {
        "body": 4,
        "lipids": 4,
        "metabolic": 2,
    }


def test_linnerud_has_three_outputs():
    batch = load("linnerud")
    assert batch.modalities == ("chins", "situps", "jumps")
    assert batch.target.shape == (20, 3)
    assert batch.task == "regression"


@pytest.mark.parametrize("name", ["digits", "diabetes", "linnerud"])
def test_all_are_complete_float32_and_split(name):
    batch = load(name)
    assert batch.available.all()
    assert {x.dtype for x in batch.features.values()} == {torch.float32}
    assert sum(len(part) for part in batch.split()) == len(batch)


def test_unknown_name():
    with pytest.raises(ValueError, match=r"dataset 'mnist'; there are \['digits', 'diabetes', "):
        load("mnist")
