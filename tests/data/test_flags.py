"""Test rows and groups: right, or refused by name."""

import numpy as np
import pandas as pd
import pytest

from sure_pyro.data.flags import read_groups, read_test
from tests.data.strategies import NAN


@pytest.mark.parametrize(
    "flags",
    [
        [True, False],
        [1, 0],
        [1.0, 0.0],
        np.array([1, 0], np.uint8),
        ["True", "False"],
        ["TRUE", "false"],
        ["test", "train"],
        [" Test", "TRAIN "],
        [b"test", b"train"],
        pd.Categorical(["test", "train"]),
        pd.Series(["test", "train"], dtype="string"),
        pd.Series([True, False], dtype="boolean"),
        pd.Series([1, 0], dtype="Int64"),
        np.array([True, False], object),
        np.ma.array([1, 0], mask=False),
    ],
)
def test_every_way_to_say_which_rows_are_the_test_part(flags):
    assert read_test(flags).tolist() == [True, False]


@pytest.mark.parametrize("flags", [[False, False], [0, 0], ["train", "train"], ["False", "False"]])
def test_no_row_may_be_set_aside(flags):
    assert read_test(flags).tolist() == [False, False]


@pytest.mark.parametrize(
    ("flags", "error", "text"),
    [
        ([0, 1, 2], ValueError, r"True or 1 for test rows; it holds 0, 1, 2. Say which rows"),
        ([1, 2], ValueError, "it holds 1, 2"),
        ([0.5, 1], ValueError, "it holds 0.5, 1.0"),
        (["train", "val", "test"], ValueError, "it holds 'test', 'train', 'val'. Say which"),
        (["train", "True"], ValueError, "it holds 'True', 'train'"),
        (["0", "1"], ValueError, "it holds '0', '1'"),
        ([True, "False"], TypeError, "mixes text and other values, such as 'False' and True"),
        ([True, None], ValueError, "missing values .* in row 1"),
        (["train", None], ValueError, "missing values in row 1"),
        ([1.0, NAN], ValueError, "`test` is NaN in row 1"),
        (np.ma.masked_equal([0, 1], 1), ValueError, "missing values .* in row 1"),
        (pd.Series([True, None], dtype="boolean"), ValueError, "missing values .* in row 1"),
        (pd.date_range("2020", periods=2), TypeError, "`test` must hold real numbers"),
    ],
)
def test_flags_that_may_mean_something_else(flags, error, text):
    with pytest.raises(error, match=text):
        read_test(flags)


@pytest.mark.parametrize(
    ("groups", "numbers"),
    [
        ([7, 4], [7, 4]),
        (np.array([7, 4], np.int16), [7, 4]),
        (pd.Series([7, 4], dtype="Int64"), [7, 4]),
        (["b", "a"], [1, 0]),
        (pd.Categorical(["b", "a"], categories=["b", "c", "a"]), [1, 0]),
    ],
)
def test_groups_are_numbers_or_names(groups, numbers):
    assert read_groups(groups).tolist() == numbers


@pytest.mark.parametrize(
    ("groups", "error", "text"),
    [
        ([1.0, 2.0], TypeError, "`group` must hold integers or names; got torch.float64"),
        ([True, False], TypeError, "got torch.bool"),
        ([1, "1"], TypeError, "mixes text and other values, such as '1' and 1"),
        (["a", None], ValueError, "`group` has missing values in row 1"),
        (np.ma.masked_equal([0, 1], 1), ValueError, "`group` has missing values .* in row 1"),
    ],
)
def test_groups_of_the_wrong_kind(groups, error, text):
    with pytest.raises(error, match=text):
        read_groups(groups)
