"""Numbers out of whatever holds them, with what the source marks as missing."""

import importlib.util
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from sure_pyro.data.reading import read_complete, read_numbers
from tests.data.strategies import NAN

MASKED = np.ma.masked_equal


@pytest.mark.parametrize(
    ("source", "values", "dtype"),
    [
        ([1.0, 2.0], [1, 2], torch.float64),
        (((1, 2), (3, 4)), [[1, 2], [3, 4]], torch.int64),
        (np.array([1, 2], np.uint16), [1, 2], torch.int64),
        (np.ones(2, ">f4"), [1, 1], torch.float32),
        (np.array([1.5, 2], object), [1.5, 2], torch.float64),
        (np.array([1, 2], object), [1, 2], torch.int64),
        (np.array([True, False], object), [True, False], torch.bool),
        ([Decimal("1.5"), 2], [1.5, 2], torch.float64),
        ([torch.ones(1, requires_grad=True), torch.zeros(1)], [[1], [0]], torch.float32),
        ([[np.ones(1)], [np.zeros(1)]], [[[1]], [[0]]], torch.float64),
        ([torch.ones(1), torch.ones(1).long()], [[1], [1]], torch.float64),
        (pd.Series([1, 2], dtype="Int64"), [1, 2], torch.int64),
        (pd.Series([1.5, 2], dtype="Float32"), [1.5, 2], torch.float32),
        (pd.Index([1, 2]), [1, 2], torch.int64),
        (pd.arrays.SparseArray([0, 0, 1]), [0, 0, 1], torch.int64),
        (pd.DataFrame({"a": [1, 2], "b": [0.5, 1]}), [[1, 0.5], [2, 1]], torch.float64),
        (xr.DataArray([[1, 2]], dims=("row", "column")), [[1, 2]], torch.int64),
        (np.matrix([[1, 2]]), [[1, 2]], torch.int64),
    ],
)
def test_numbers_of_every_kind(source, values, dtype):
    read = read_numbers(source, "x")
    assert (read.values.tolist(), read.values.dtype, read.gaps) == (values, dtype, None)
    assert not read.values.requires_grad


@pytest.mark.parametrize(
    ("source", "gaps", "dtype"),
    [
        (MASKED([[1.0], [-9.0]], -9), [[False], [True]], torch.float64),
        (MASKED([1, -9], -9), [False, True], torch.int64),
        (np.ma.array([True, False], mask=[0, 1]), [False, True], torch.bool),
        (np.ma.array([1, "x"], mask=[0, 1], dtype=object), [False, True], torch.int64),
        ([MASKED([1, -9], -9), MASKED([1, 2], -9)], [[False, True], [False, False]], torch.int64),
        ([[MASKED([1, -9], -9)]], [[[False, True]]], torch.int64),
        ([np.ma.masked, 1.0], [True, False], torch.float64),
        (pd.Series([1, None], dtype="Int64"), [False, True], torch.int64),
        (pd.Series([True, None], dtype="boolean"), [False, True], torch.bool),
        (pd.Series([1.5, None], dtype="Float64"), [False, True], torch.float64),
        (pd.DataFrame({"a": pd.array([1, None], "Int64"), "b": [0.5, 1]}), [[0, 0], [1, 0]], None),
        ([[1.0, None], [2.0, 3.0]], [[False, True], [False, False]], torch.float64),
        ([pd.NA, 2], [True, False], torch.int64),
    ],
)
def test_what_the_source_marks_as_missing(source, gaps, dtype):
    read = read_numbers(source, "x")
    assert read.gaps.tolist() == gaps
    assert dtype in (None, read.values.dtype)
    assert (read.values[read.gaps] == 0).all()  # never what lay under the mask


def test_nan_stays_nan_and_is_no_mark():
    read = read_numbers(xr.DataArray([1.0, NAN]), "x")
    assert read.values.isnan().tolist() == [False, True]
    assert read.gaps is None


@settings(deadline=None, max_examples=40)
@given(hnp.arrays(st.sampled_from([np.float32, np.int32, np.bool_]), hnp.array_shapes(max_dims=3)))
def test_arrays_masked_arrays_and_lists_of_them_agree(x):
    plain = read_numbers(x, "x").values
    masked = read_numbers(np.ma.array(x, mask=False), "x").values
    assert torch.equal(plain, masked) or x.dtype.kind == "f"  # NaN is not equal to itself
    np.testing.assert_array_equal(plain.numpy(), x)
    np.testing.assert_array_equal(read_numbers(list(x), "x").values.numpy(), x)
    np.testing.assert_array_equal(masked.numpy(), x)


DATES = "dates, which have no unit of their own. Convert them"


@pytest.mark.parametrize(
    ("source", "error", "text"),
    [
        (["a"], TypeError, "x must hold real numbers; got <U1: text. Convert it if"),
        (np.array([b"a"]), TypeError, "text. Convert it"),
        (pd.Series(["1"], dtype="string"), TypeError, "got str.*: text. Convert it"),
        (pd.Series([1, 2], dtype="category"), TypeError, "got categories. Say what number each"),
        (pd.date_range("2020", periods=2), TypeError, DATES),
        (pd.Series(pd.date_range("2020", periods=2, tz="UTC")), TypeError, DATES),
        (pd.Series(pd.period_range("2020", periods=2, freq="D")), TypeError, DATES),
        (pd.to_timedelta([1, 2]), TypeError, "time spans, which have no unit"),
        (np.ma.array(np.array(["2020"], "M8[D]"), mask=[1]), TypeError, DATES),
        (pd.DataFrame({"u": ["a"]}), TypeError, "x, column 'u', must hold real numbers"),
        (pd.DataFrame(index=[0]), TypeError, "a DataFrame without columns"),
        (np.array([1, "a"], object), TypeError, r"objects, among them 'a' \(str\)"),
        (np.array([1, True], object), TypeError, r"among them True \(bool\)"),
        ([pd.NaT, pd.Timestamp("2020")], TypeError, "among them Timestamp"),
        ([{"a": 1}], TypeError, r"among them {'a': 1} \(dict\)"),
        ([1j], TypeError, "complex numbers. Give real and imaginary parts"),
        (np.zeros(2, [("a", int)]), TypeError, "records"),
        (sparse.eye(2).tocsr(), TypeError, r"is sparse. Make it dense: `x.toarray\(\)`"),
        (torch.eye(2).to_sparse(), TypeError, "dense tensor; got a sparse one"),
        ([[1], [1, 2]], TypeError, "rows of equal shape"),
        ([np.ones(1), np.ones(2)], TypeError, r"the shapes of its rows are \[\(1,\), \(2,\)\]"),
        (np.array([2**63], np.uint64), ValueError, "more than a 64-bit integer with a sign"),
        ([2**70, 1], ValueError, "integers of more than 64 bits"),
    ],
)
def test_what_is_no_number_is_refused_by_name(source, error, text):
    with pytest.raises(error, match=text):
        read_numbers(source, "x")


def test_extended_precision_is_refused_where_it_exists():
    if np.dtype(np.longdouble).itemsize > 8:
        with pytest.raises(TypeError, match="which torch lacks: x.astype"):
            read_numbers(np.ones(2, np.longdouble), "x")


def test_arrow_columns():
    if importlib.util.find_spec("pyarrow") is None:
        pytest.skip("pyarrow is not installed")
    read = read_numbers(pd.Series([1, None], dtype="int64[pyarrow]"), "x")
    assert read.gaps.tolist() == [False, True]
    assert read.values.dtype == torch.int64


@pytest.mark.parametrize(
    "source", [MASKED([1, -9], -9), pd.Series([1, None], dtype="Int64"), [1.0, None]]
)
def test_nothing_may_be_missing_where_all_is_needed(source):
    with pytest.raises(ValueError, match=r"x has missing values \(masked, NA or None\) in row 1"):
        read_complete(source, "x")
    assert read_complete(np.ma.array([1, 2], mask=False), "x").tolist() == [1, 2]
