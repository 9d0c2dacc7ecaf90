"""Batches from a DataFrame."""

import numpy as np
import pandas as pd
import pytest
import torch

from sure_pyro.data import from_dataframe

BODY = {"body": ["height", "weight"], "heart": ["pulse"]}


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "height": [1.6, 1.7, np.nan, 1.9],
            "weight": [60, 70, 80, 90],
            "pulse": [55.0, np.nan, 65.0, 70.0],
            "kind": ["no", "yes", "yes", "maybe"],
            "left": [0, 1, 1, 0],
            "right": [1, 1, 0, 0],
            "site": ["b", "a", "b", "a"],
            "held": [0, 0, 0, 1],
        }
    )


def test_columns_classes_groups_and_gaps():
    batch = from_dataframe(frame(), BODY, "kind", "site", test="held", nan="missing")
    assert batch.modalities == ("body", "heart")
    assert batch.features["body"].dtype == torch.float32
    assert batch.features["body"][3].tolist() == pytest.approx([1.9, 90.0])
    assert batch.available.tolist() == [[True, True], [True, False], [True, True], [True, True]]
    assert batch.recorded["body"][2].tolist() == [False, True]
    assert batch.class_names == ("maybe", "no", "yes")
    assert batch.target.tolist() == [1, 2, 2, 0]
    assert batch.group.tolist() == [1, 0, 1, 0]
    assert batch.test.tolist() == [False, False, False, True]


def test_gaps_are_an_error_unless_asked():
    with pytest.raises(ValueError, match=r"'body' has NaN .* row 2"):
        from_dataframe(frame(), BODY)


def test_numeric_targets():
    df = frame().fillna(0.0)
    target = from_dataframe(df, {"heart": ["pulse"]}, "weight", task="regression").target
    assert target.dtype == torch.float32
    assert from_dataframe(df, BODY, "left").task == "classification"
    assert from_dataframe(df, BODY, ["left", "right"]).task == "multilabel"
    outputs = from_dataframe(df, {"heart": ["pulse"]}, ["height", "weight"])
    assert (outputs.task, outputs.target.shape) == ("regression", (4, 2))
    order = pd.CategoricalDtype(["yes", "no", "maybe"], ordered=True)
    assert from_dataframe(df.astype({"kind": order}), BODY, "kind").target.tolist() == [1, 0, 0, 2]
    assert from_dataframe(df.astype({"held": bool}), BODY, "held").class_names == ("False", "True")


def test_nullable_columns():
    df = frame().astype({"weight": "Int64"})
    df.loc[0, "weight"] = pd.NA
    batch = from_dataframe(df, BODY, nan="missing")
    assert batch.recorded["body"][0].tolist() == [True, False]


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"modalities": {"a": ["wight"]}}, ValueError, r"no columns \['wight'\]; it has"),
        ({"modalities": {"a": ["kind"]}}, TypeError, "'kind' of modality 'a' must hold real num"),
        ({"modalities": {"a": "pulse"}}, ValueError, r"list of columns for each; \['a'\]"),
        ({"target": "pulse"}, ValueError, r"Columns \['pulse'\] have missing values"),
        ({"group": "team"}, ValueError, r"no columns \['team'\]"),
    ],
)
def test_columns_that_do_not_fit(arguments, error, text):
    with pytest.raises(error, match=text):
        from_dataframe(frame(), **{"modalities": {"a": ["weight"]}, **arguments})
