"""The door for arrays: NaN becomes availability only when asked."""

import numpy as np
import pytest
import torch

from sure_pyro.data import from_arrays
from tests.data.strategies import NAN


def gappy() -> dict[str, np.ndarray]:
    a, b = np.ones((3, 2), np.float32), np.ones((3, 4, 2), np.float32)
    a[0] = NAN  # absent
    b[1, 2] = NAN  # one step
    b[2, 0, 1] = NAN  # one entry
    return {"a": a, "b": b}


def test_nan_is_an_error_unless_asked():
    with pytest.raises(ValueError, match=r"'a' has NaN .* row 0 .*nan='missing'"):
        from_arrays(gappy())


def test_nan_becomes_availability_when_asked():
    batch = from_arrays(gappy(), nan="missing")
    assert batch.available.tolist() == [[False, True], [True, True], [True, True]]
    assert list(batch.recorded) == ["b"]  # `a` is there in full or not at all
    assert (~batch.recorded["b"]).nonzero().tolist() == [[1, 2, 0], [1, 2, 1], [2, 0, 1]]
    assert not any(x.isnan().any() for x in batch.features.values())


def test_infinity_is_never_missing():
    with pytest.raises(ValueError, match="'a' has NaN or infinite"):
        from_arrays({"a": [[np.inf]]}, nan="missing")


def test_rows_of_nothing_but_nan():
    x = {"a": np.array([[1.0], [NAN], [NAN]])}
    with pytest.raises(ValueError, match=r"No modality is available in rows 1, 2 \(2 of 3\)"):
        from_arrays(x, nan="missing")
    assert not from_arrays(x, nan="missing", allow_empty=True).available[1:].any()


def test_dtypes_are_kept_or_asked_for():
    x = {"a": np.ones((2, 1), np.float64), "b": np.ones((2, 1), np.float32)}
    y = np.array([0.5, 1.0])
    batch = from_arrays(x, y)
    assert [v.dtype for v in batch.features.values()] == [torch.float64, torch.float32]
    assert batch.target.dtype == torch.float64
    batch = from_arrays(x, y, dtype=torch.float32)
    assert {v.dtype for v in (*batch.features.values(), batch.target)} == {torch.float32}


@pytest.mark.parametrize(
    ("target", "task", "dtype", "meant"),
    [
        (np.array([0, 1], np.int32), None, torch.int64, "classification"),
        (np.array([0, 1], np.uint16), None, torch.int64, "classification"),
        ([3, 5], "regression", torch.float32, "regression"),
        ([[3], [5]], "regression", torch.float32, "regression"),
        (np.array([[0, 1], [1, 1]]), None, torch.float32, "multilabel"),
        (np.array([[True, False], [True, True]]), None, torch.float32, "multilabel"),
        (torch.tensor([0.5, 1.0]).double(), None, torch.float64, "regression"),
    ],
)
def test_targets_get_the_numbers_that_their_task_needs(target, task, dtype, meant):
    batch = from_arrays({"a": np.ones((2, 1), np.float32)}, target, task=task)
    assert (batch.target.dtype, batch.task) == (dtype, meant)


def test_a_column_of_class_numbers_is_not_taken_for_regression():
    with pytest.raises(ValueError, match=r"integer `target` of shape \(2, 1\) .* flatten it"):
        from_arrays({"a": np.ones((2, 1))}, [[0], [2]])


def test_availability_by_name_or_as_a_matrix():
    x = {"a": np.ones((2, 1)), "b": np.ones((2, 1))}
    by_name = from_arrays(x, available={"b": [True, False]})
    matrix = from_arrays(x, available=np.array([[True, True], [True, False]]))
    assert torch.equal(by_name.available, matrix.available)
    with pytest.raises(ValueError, match=r"`available` names \['c'\]; .* \['a', 'b'\]"):
        from_arrays(x, available={"c": [True, True]})


def test_awkward_arrays_are_read_and_not_shared():
    x = np.arange(6, dtype=">f4").reshape(3, 2)[::-1]
    x.flags.writeable = False
    batch = from_arrays({"a": x})
    assert batch.features["a"].tolist() == [[4, 5], [2, 3], [0, 1]]


def test_other_rows():
    batch = from_arrays(
        {"s": np.ones((2, 3, 1))},
        group=np.array([4, 4], np.int16),
        test=[False, True],
        padding={"s": [[True, True, False], [True, False, False]]},
    )
    assert batch.group.tolist() == [4, 4]
    assert batch.test.tolist() == [False, True]
    assert batch.padding["s"].sum(1).tolist() == [2, 1]


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"features": {"a": [["x"]]}}, TypeError, "'a' must hold real numbers; got .*U1"),
        ({"features": {"a": [[[1.0]], [[1.0, 2.0]]]}}, TypeError, "rows of equal shape"),
        ({"features": {"a": np.array([[object()]])}}, TypeError, "got an array of object"),
        (
            {"dtype": torch.int64},
            TypeError,
            "floating dtype such as torch.float32; got torch.int64",
        ),
        ({"padding": [[True]]}, TypeError, "padding"),
        ({"nan": "drop"}, ValueError, "'error' or 'missing'; got 'drop'"),
        (
            {"group": [0.5, 1.0]},
            TypeError,
            "`group` must hold integers or names; got torch.float64",
        ),
        ({"available": [[1], [1]]}, TypeError, "must be a bool tensor; got torch.int64"),
    ],
)
def test_arrays_of_the_wrong_kind(arguments, error, text):
    with pytest.raises(error, match=text):
        from_arrays(**{"features": {"a": np.ones((2, 1))}, **arguments})
