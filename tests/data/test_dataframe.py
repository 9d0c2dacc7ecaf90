"""Batches from a DataFrame."""

import numpy as np
import pandas as pd
import pytest
import torch

from sure_pyro.data import from_dataframe
from sure_pyro.data.dataframe import check_frame

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


N = 12
RNG = np.random.default_rng(0)


def wide() -> pd.DataFrame:
    return pd.DataFrame(
        {"a": RNG.normal(size=N), "b": RNG.normal(size=N), "k": ["u", "v"] * 6, "f": [0.0, 1.0] * 6}
    )


def test_column_names_of_every_kind():
    x = {"x": [0], "z": [1, 2]}
    numbered = pd.DataFrame(RNG.normal(size=(N, 3))).assign(**{"y": 0})
    numbered.columns = [0, 1, 2, 3]
    assert from_dataframe(numbered, x, 3).modalities == ("x", "z")
    levels = wide()
    levels.columns = pd.MultiIndex.from_product([["m"], levels.columns])
    batch = from_dataframe(levels, {"x": [("m", "a")], "z": [("m", "b")]}, ("m", "k"))
    assert batch.class_names == ("u", "v")
    assert from_dataframe(levels, {"x": [("m", "a")]}, [("m", "f"), ("m", "b")]).target.ndim == 2
    df = wide()
    index = from_dataframe(df, {"x": df.columns[:2], "z": ("f",)}, df.columns[2])
    assert index.features["x"].shape == (N, 2)
    named = df.rename(columns={"a": ("a", 1)})
    assert from_dataframe(named, {"x": [("a", 1)]}).features["x"].shape == (N, 1)


def test_rows_are_read_in_order_whatever_the_index():
    df = wide().set_axis([0] * N)
    assert from_dataframe(df, {"x": ["a"]}, "k").target.tolist() == [0, 1] * 6


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (pd.array([1, None, 3] * 4, dtype="Int64"), [1, 0, 3]),
        (pd.array([True, None, False] * 4, dtype="boolean"), [1, 0, 0]),
        (np.array([1.5, None, 2] * 4, object), [1.5, 0, 2]),
        (pd.array([1.5, None, 2] * 4, dtype="Float64"), [1.5, 0, 2]),
    ],
)
def test_columns_with_gaps_of_every_kind(column, values):
    df = wide().assign(a=column)
    batch = from_dataframe(df, {"x": ["a"], "z": ["b"]}, "k", nan="missing")
    assert batch.available[:3].tolist() == [[True, True], [False, True], [True, True]]
    assert batch.features["x"][:3].flatten().tolist() == values
    with pytest.raises(ValueError, match="'x' has NaN .* rows 1, 4"):
        from_dataframe(df, {"x": ["a"], "z": ["b"]}, "k")


@pytest.mark.parametrize(
    ("target", "task", "names"),
    [
        (pd.array([0, 1] * 6, dtype="Int64"), "classification", ("0", "1")),
        (pd.array([True, False] * 6, dtype="boolean"), "classification", ("False", "True")),
        ([1, 2] * 6, "classification", ("1", "2")),
        (
            pd.Categorical(["u", "v"] * 6, categories=["w", "v", "u"]),
            "classification",
            tuple("wvu"),
        ),
        (["u", "v"] * 6, "classification", ("u", "v")),
        (np.arange(N) / 7, "regression", None),
    ],
)
def test_targets_of_every_kind(target, task, names):
    batch = from_dataframe(wide().assign(y=target), {"x": ["a"]}, "y")
    assert (batch.task, batch.class_names) == (task, names)


def test_several_columns_of_labels_of_different_types():
    df = wide().assign(p=pd.array([0, 1] * 6, dtype="Int64"), q=[True, False] * 6)
    batch = from_dataframe(df, {"x": ["a"]}, ["p", "q"])
    assert (batch.task, batch.target[:2].tolist()) == ("multilabel", [[0, 1], [1, 0]])


@pytest.mark.parametrize("flags", [["False", "True"] * 6, ["train", "test"] * 6, [0, 1] * 6])
def test_a_column_of_flags(flags):
    batch = from_dataframe(wide().assign(t=flags), {"x": ["a"]}, "k", test="t")
    assert batch.test.tolist() == [False, True] * 6


@pytest.mark.parametrize(
    ("changes", "arguments", "error", "text"),
    [
        ({"t": [0, 1, 2] * 4}, {"test": "t"}, ValueError, "it holds 0, 1, 2. Say which rows"),
        ({"t": [None, True] * 6}, {"test": "t"}, ValueError, r"Columns \['t'\] have missing"),
        ({"a": ["1", "2"] * 6}, {}, TypeError, "'a' of modality 'x' must hold .* text"),
        ({"a": pd.date_range("2020", periods=N)}, {}, TypeError, "'a' of modality 'x' .* dates"),
        ({"a": [1j] * N}, {}, TypeError, "'a' of modality 'x' .* complex"),
        ({"k": [1, "1"] * 6}, {}, TypeError, "`target` mixes text and other values"),
        ({}, {"target": "a"}, ValueError, r"The target \['a'\] is among the columns"),
        ({}, {"target": ["b", "a"]}, ValueError, r"The target \['a'\] is among the columns"),
        ({}, {"modalities": {"x": ["a"], "z": ["a"]}}, ValueError, r"Columns \['a'\] are named mo"),
        ({}, {"modalities": {"x": ["a", "a"]}}, ValueError, r"Columns \['a'\] are named more"),
        ({}, {"modalities": {"x": []}}, ValueError, "'x' has no columns"),
        ({}, {"modalities": {"x": 3}}, ValueError, r"got the single 3. Write \[3\]"),
        ({}, {"target": 7}, ValueError, r"no columns \[7\]; it has"),
        ({}, {"modalities": {"x": [["a"]]}}, ValueError, r"no columns \[\['a'\]\]; it has"),
    ],
)
def test_frames_that_do_not_fit(changes, arguments, error, text):
    df = wide().assign(**changes)
    with pytest.raises(error, match=text):
        from_dataframe(df, **{"modalities": {"x": ["a"]}, "target": "k", **arguments})


def test_names_of_several_columns_are_refused():
    twice = wide().rename(columns={"b": "a"})
    with pytest.raises(ValueError, match=r"\['a'\] name several columns each"):
        from_dataframe(twice, {"x": ["a"]}, "k")
    assert from_dataframe(twice, {"x": ["f"]}, "k").modalities == ("x",)
    levels = wide()
    levels.columns = pd.MultiIndex.from_product([["m"], levels.columns])
    with pytest.raises(ValueError, match=r"\['m'\] name several columns each"):
        from_dataframe(levels, {"x": ["m"]})


def test_only_a_frame_is_a_frame():
    with pytest.raises(TypeError, match=r"must be a DataFrame; got Series. .*to_frame\(\)"):
        check_frame(wide()["a"])
    with pytest.raises(TypeError, match="must be a DataFrame; got dict"):
        check_frame({})
