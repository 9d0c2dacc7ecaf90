"""Targets as they come: numbers, or names that become classes."""

import numpy as np
import pandas as pd
import pytest

from sure_pyro.data import from_arrays
from sure_pyro.data.labels import read_target


@pytest.mark.parametrize(
    "names",
    [
        ["b", "a", "b"],
        np.array(["b", "a", "b"]),
        np.array([b"b", b"a", b"b"]),
        np.array(["b", "a", "b"], object),
        pd.Series(["b", "a", "b"]),
        pd.Series(["b", "a", "b"], dtype="string"),
        pd.Categorical(["b", "a", "b"]),
        np.ma.array(["b", "a", "b"], mask=False),
    ],
)
def test_text_becomes_classes_in_sorted_order(names):
    batch = from_arrays({"a": np.ones((3, 1))}, names)
    assert (batch.task, batch.class_names) == ("classification", ("a", "b"))
    assert batch.target.tolist() == [1, 0, 1]
    assert batch.notes == {}


def test_the_order_of_categories_and_unused_ones_are_kept():
    y, names = read_target(pd.Categorical(["u", "v"], categories=["w", "v", "u"]))
    assert (y.tolist(), names) == ([2, 1], ["w", "v", "u"])
    y, names = read_target(pd.Series(pd.Categorical([20, 10])))
    assert (y.tolist(), names) == ([1, 0], ["10", "20"])


def test_class_names_say_which_numbers_the_texts_get():
    y, names = read_target(["a", "c"], class_names=["c", "b", "a"])
    assert (y.tolist(), names) == ([2, 0], ["c", "b", "a"])
    with pytest.raises(ValueError, match=r"classes \['d'\], not among `class_names` \['a'\]"):
        read_target(["a", "d"], class_names=["a"])


def test_numbers_in_objects_are_numbers():
    assert read_target(np.array([0, 1], object))[0].tolist() == [0, 1]
    assert read_target(pd.Series([True, False], dtype="boolean"))[0].tolist() == [True, False]


@pytest.mark.parametrize(
    ("target", "task", "error", "text"),
    [
        ([1, "1"], None, TypeError, "`target` mixes text and other values, such as '1' and 1"),
        (pd.Categorical(["1", 1]), None, TypeError, "mixes text and other values"),
        (["a", None], None, ValueError, "`target` has missing values in row 1"),
        (pd.Categorical(["a", None]), None, ValueError, "missing values in row 1"),
        ([["a"], ["b"]], None, TypeError, "must hold real numbers"),
        (np.array([["a"], ["b"]]), None, ValueError, r"of names must have shape \(rows,\)"),
        (["a", "b"], "regression", ValueError, "names, such as 'a', which are .* no regression"),
        (np.ma.masked_equal([0, -1], -1), None, ValueError, "missing values .* in row 1"),
        (pd.Series([1, None], dtype="Int64"), None, ValueError, "missing values .* in row 1"),
        (pd.date_range("2020", periods=2), None, TypeError, "dates, which have no unit"),
        (pd.to_timedelta([1, 2]), None, TypeError, "time spans"),
    ],
)
def test_targets_of_the_wrong_kind(target, task, error, text):
    with pytest.raises(error, match=text):
        read_target(target, task)
