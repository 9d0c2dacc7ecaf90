"""Bad input: every error says what and where."""

import numpy as np
import pytest
import torch

from sure_pyro.data import Batch
from sure_pyro.data.validate import check_features, check_mask, check_rows, rows_in_words
from tests.data.strategies import INF, NAN, small_batch


def test_rows_in_words():
    rows = torch.zeros(100).bool()
    rows[3] = True
    assert rows_in_words(rows) == "row 3 (1 of 100)"
    rows[[17, 20, 21, 22, 99]] = True
    assert rows_in_words(rows) == "rows 3, 17, 20, 21, 22, ... (6 of 100)"


@pytest.mark.parametrize(
    ("features", "error", "text"),
    [
        ([torch.ones(1, 1)], TypeError, "must map modality names to tensors; got list"),
        ({}, ValueError, "`features` is empty"),
        ({"": torch.ones(1, 1)}, TypeError, "non-empty strings; got ''"),
        ({1: torch.ones(1, 1)}, TypeError, "non-empty strings; got 1"),
        ({"a": np.ones((1, 1))}, TypeError, "'a' must be a tensor; got ndarray"),
        ({"a": torch.ones(1, 1).bool()}, TypeError, "'a' must hold real numbers; got torch.bool"),
        ({"a": torch.ones(3)}, ValueError, r"'a' must have shape \(rows, ...\); got \(3,\)"),
        ({"a": torch.ones(0, 3)}, ValueError, r"'a' is empty: its shape is \(0, 3\)"),
        ({"a": torch.ones(2, 0)}, ValueError, r"'a' is empty: its shape is \(2, 0\)"),
        (
            {"a": torch.ones(2, 1), "b": torch.ones(3, 1)},
            ValueError,
            "same number of rows; got 'a': 2, 'b': 3",
        ),
        (
            {"a": torch.ones(2, 1), "b": torch.ones(2, 1, device="meta")},
            ValueError,
            "same device; got 'a': cpu, 'b': meta",
        ),
    ],
)
def test_features(features, error, text):
    with pytest.raises(error, match=text):
        check_features(features)


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_a_bad_value_under_available_names_modality_and_rows(bad):
    x = small_batch().features["v"].clone()
    x[2:, 0] = bad
    with pytest.raises(ValueError, match=r"'v' has NaN or infinite values .* rows 2, 3 \(2 of 4\)"):
        small_batch(features={"v": x, "s": torch.ones(4, 3, 2)})


def test_a_bad_value_that_is_not_recorded_is_no_error_but_one_beside_it_is():
    x = small_batch().features["v"].clone()
    x[2, 0] = NAN
    features = {"v": x, "s": torch.ones(4, 3, 2)}
    recorded = torch.ones(4, 2).bool()
    recorded[2, 0] = False
    assert small_batch(features=features, recorded={"v": recorded}).features["v"][2, 0] == 0
    with pytest.raises(ValueError, match="NaN or infinite"):
        small_batch(features=features, recorded={"v": ~recorded})


def test_rows_without_any_modality():
    available = torch.tensor([[True, True], [False, False], [True, False], [False, False]])
    with pytest.raises(ValueError, match=r"No modality is available in rows 1, 3 \(2 of 4\)"):
        small_batch(available=available)
    assert len(small_batch(available=available, allow_empty=True)) == 4


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"available": torch.ones(4, 2)}, TypeError, "must be a bool tensor; got torch.float32"),
        (
            {"available": torch.ones(4, 3).bool()},
            ValueError,
            r"`available` .* must have shape \(4, 2\); got shape \(4, 3\)",
        ),
        (
            {"recorded": {"w": torch.ones(4, 2).bool()}},
            ValueError,
            r"`recorded` names the modalities \['w'\], .* it has \['v', 's'\]",
        ),
        (
            {"recorded": {"s": torch.ones(4, 3).bool()}},
            ValueError,
            r"`recorded\['s'\]` must have shape \(4, 3, 2\); got shape \(4, 3\)",
        ),
        (
            {"padding": {"s": torch.ones(4, 2).bool()}},
            ValueError,
            r"`padding\['s'\]` must have shape \(4, 3\); got shape \(4, 2\)",
        ),
        (
            {"padding": {"s": torch.tensor([[1, 1, 1]] * 3 + [[0, 0, 0]]).bool()}},
            ValueError,
            r"'s' is available but `padding` leaves no token in row 3",
        ),
        ({"group": torch.ones(4)}, TypeError, "`group` must be a tensor of torch.int64; got"),
        ({"group": torch.ones(3).long()}, ValueError, r"`group` .* \(4,\); got \(3,\)"),
        ({"test": torch.ones(4).long()}, TypeError, "`test` must be a tensor of torch.bool"),
    ],
)
def test_fields_beside_the_features(changes, error, text):
    with pytest.raises(error, match=text):
        small_batch(**changes)


def test_masks_and_rows_on_another_device():
    cpu = torch.device("cpu")
    with pytest.raises(ValueError, match="`m` is on meta, the features are on cpu"):
        check_mask(torch.ones(2, device="meta").bool(), "`m`", (2,), cpu)
    group = torch.ones(2, device="meta").long()
    with pytest.raises(ValueError, match="`group` is on meta, the features are on cpu"):
        check_rows(group, "group", {"a": torch.ones(2, 1)}, torch.int64)
    with pytest.raises(TypeError, match="must be a bool tensor; got list"):
        check_mask([True], "`m`", (1,), cpu)


def test_errors_are_raised_by_the_constructor_itself():
    with pytest.raises(ValueError, match="`features` is empty"):
        Batch({})
