"""Marks of missing values become availability only when asked, and never pass unseen."""

import numpy as np
import pandas as pd
import pytest

from sure_pyro.data import from_arrays
from tests.data.strategies import NAN

V = np.ones((3, 1))


@pytest.mark.parametrize(
    "x",
    [
        np.ma.masked_equal([[1.0], [-9.0], [3.0]], -9),
        np.ma.masked_equal([[1], [-9], [3]], -9),
        pd.DataFrame({"a": pd.array([1, None, 3], dtype="Int64")}),
        pd.DataFrame({"a": pd.array([1.0, None, 3.0], dtype="Float64")}),
        np.array([[1], [None], [3]], object),
        [[1.0], [None], [3.0]],
        [[1.0], [NAN], [3.0]],
    ],
)
def test_every_mark_is_read_when_asked_and_refused_when_not(x):
    batch = from_arrays({"a": x, "v": V}, nan="missing")
    assert batch.available.tolist() == [[True, True], [False, True], [True, True]]
    assert batch.features["a"].flatten().tolist() == [1, 0, 3]
    with pytest.raises(ValueError, match="'a' has .* in row 1 .*nan='missing'"):
        from_arrays({"a": x, "v": V})
    absent = from_arrays({"a": x, "v": V}, available={"a": [True, False, True]})
    assert absent.features["a"].flatten().tolist() == [1, 0, 3]  # it was said otherwise


def test_some_masked_entries_are_parts():
    x = np.ma.masked_equal([[1, 2], [3, -9], [-9, -9]], -9)
    batch = from_arrays({"a": x, "v": V}, nan="missing")
    assert batch.recorded["a"].tolist() == [[True, True], [True, False], [False, False]]
    assert batch.available[:, 0].tolist() == [True, True, False]


def test_a_row_of_nothing_but_nan_needs_no_token():
    x = np.ones((3, 2, 1))
    x[1] = NAN
    tokens = [[True, True], [False, False], [True, False]]
    batch = from_arrays({"s": x, "v": V}, padding={"s": tokens}, nan="missing")
    assert batch.available[:, 0].tolist() == [True, False, True]


@pytest.mark.parametrize(
    "available",
    [
        {"a": np.ma.masked_equal([True, False, True], False)},
        {"a": pd.array([True, None, True], dtype="boolean")},
        {"a": [True, None, True]},
    ],
)
def test_availability_itself_must_be_known(available):
    with pytest.raises(ValueError, match=r"`available\['a'\]` has missing values .* in row 1"):
        from_arrays({"a": V, "v": V}, available=available)


def test_availability_in_a_frame_goes_by_name():
    frame = pd.DataFrame({"v": [True, False, True], "a": [True, True, True]})
    batch = from_arrays({"a": V, "v": V}, available=frame)
    assert batch.available[:, 1].tolist() == [True, False, True]
    numbered = pd.DataFrame(frame.to_numpy())
    assert from_arrays({"a": V, "v": V}, available=numbered).available[1].tolist() == [False, True]


@pytest.mark.parametrize(
    ("available", "error", "text"),
    [
        ({"a": [1, 0, 1]}, TypeError, r"`available\['a'\]` must be a bool tensor; got torch.int64"),
        ([["True"]] * 3, TypeError, "`available` must hold real numbers; got <U4: text"),
        ({"a": [True, False]}, ValueError, r"`available\['a'\]` must have shape \(3,\)"),
    ],
)
def test_availability_of_the_wrong_kind(available, error, text):
    with pytest.raises(error, match=text):
        from_arrays({"a": V}, available=available)


def test_padding_behind_a_row_of_nothing_but_nan_is_no_value():
    rows = [[1.0, 2.0], [NAN], [3.0]]
    for x in (rows, {"f": rows}):
        batch = from_arrays({"s": x, "v": V}, nan="missing")
        assert batch.available[:, 0].tolist() == [True, False, True]
