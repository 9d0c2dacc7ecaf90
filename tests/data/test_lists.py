"""Lists of sequences of unequal lengths become padded tensors; empty rows become absent."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sure_pyro.data import Batch, from_arrays
from sure_pyro.data.lists import read_modality
from tests.data.strategies import NAN, same

V = np.ones((4, 1))
ROWS = [np.ones((2, 3)), 2 * np.ones((4, 3)), None, np.zeros((0, 3))]


@pytest.mark.parametrize(
    "rows",
    [
        ROWS,
        tuple(ROWS),
        [None if r is None else torch.tensor(r, requires_grad=True) for r in ROWS],
        [None if r is None else r.tolist() for r in ROWS],
        pd.Series(ROWS),
        np.array([*ROWS, None], dtype=object)[:-1],
        [*ROWS[:2], NAN, pd.NA],
    ],
)
def test_rows_of_unequal_lengths_from_every_holder(rows):
    batch = from_arrays({"s": rows, "v": V})
    assert batch.features["s"].shape == (4, 4, 3)
    assert batch.features["s"].sum((1, 2)).tolist() == [6, 24, 0, 0]
    assert batch.padding["s"].tolist() == [[True, True, False, False]] + [[True] * 4] * 3
    assert batch.available[:, 0].tolist() == [True, True, False, False]
    assert "padded" in repr(batch)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 5), min_size=2, max_size=8), st.integers(0, 2))
def test_what_is_padded_is_what_was_given(lengths, extra):
    if not any(lengths):
        lengths[0] = 3
    shape = (2,) * extra
    rows = [np.random.default_rng(k).normal(size=(n, *shape)) for k, n in enumerate(lengths)]
    read = read_modality(rows, "s")
    tokens = torch.ones(len(rows), max(lengths)) if read.tokens is None else read.tokens
    for k, row in enumerate(rows):
        np.testing.assert_array_equal(read.values[k, : len(row)].numpy(), row)
        assert (read.values[k, len(row) :] == 0).all()
        if len(row):
            assert int(tokens[k].sum()) == len(row)
    if 0 in lengths:
        assert read.absent.tolist() == [n == 0 for n in lengths]


def test_equal_lengths_need_no_padding():
    assert from_arrays({"s": [np.ones((2, 3))] * 4, "v": V}).padding == {}
    batch = from_arrays({"x": [[1.0, 2.0], None, [3.0, 4.0], None], "v": V})
    assert batch.padding == {}
    assert batch.available[:, 0].tolist() == [True, False, True, False]


def test_token_numbers_keep_their_type_beside_empty_rows():
    batch = from_arrays({"ids": [[1, 2], [], [3], None], "v": V})
    assert batch.features["ids"].dtype == torch.int64
    assert batch.features["ids"].tolist() == [[1, 2], [0, 0], [3, 0], [0, 0]]


def test_a_nested_tensor_is_a_list():
    nested = torch.nested.as_nested_tensor(
        [torch.ones(2, 3), torch.ones(1, 3)], layout=torch.jagged
    )
    assert from_arrays({"s": nested}).padding["s"].sum(1).tolist() == [2, 1]


def test_fields_of_the_same_lengths_share_a_mask():
    ids, boxes = [[1, 2, 3], [4], None, []], [np.ones((n, 2)) for n in (3, 1, 0, 0)]
    batch = from_arrays({"t": {"ids": ids, "boxes": boxes, "image": np.ones((4, 2, 2))}, "v": V})
    assert batch.padding["t"][:2].tolist() == [[True] * 3, [True, False, False]]
    assert batch.available[:, 0].tolist() == [True, True, False, False]
    assert (batch.features["t"]["image"][2:] == 0).all()


def test_an_attention_mask_of_lists_is_the_padding():
    fields = {"input_ids": [[7, 1, 2], [3]], "attention_mask": [[0, 1, 1], [1]]}
    batch = from_arrays({"t": fields})
    assert batch.padding["t"].tolist() == [[False, True, True], [True, False, False]]
    assert batch.features["t"]["input_ids"].tolist() == [[0, 1, 2], [3, 0, 0]]
    assert "padding from attention_mask" in repr(batch)


def test_padding_beside_a_list_must_agree():
    rows, tokens = {"s": [[1, 2], [3]]}, [[True, True], [True, False]]
    same(from_arrays(rows, padding={"s": tokens}), from_arrays(rows))
    with pytest.raises(ValueError, match=r"`padding\['s'\]` differs from the lengths .* row 1"):
        from_arrays(rows, padding={"s": [[True, True]] * 2})
    with pytest.raises(ValueError, match="differs from the lengths .* rows 0, 1"):
        from_arrays(rows, padding={"s": [[True, True, False]] * 2})


def test_gaps_inside_a_row_of_a_list():
    rows = [np.ma.masked_equal([1, -9], -9), [3], np.ma.masked_equal([-9], -9)]
    batch = from_arrays({"s": rows, "v": np.ones((3, 1))}, nan="missing")
    assert batch.available[:, 0].tolist() == [True, True, False]
    assert batch.recorded["s"].tolist() == [[True, False], [True, False], [False, False]]
    with pytest.raises(
        ValueError, match="'s' has entries that are masked, NA or None .* rows 0, 2"
    ):
        from_arrays({"s": rows, "v": np.ones((3, 1))})


@pytest.mark.parametrize(
    ("rows", "error", "text"),
    [
        ([np.ones((2, 3)), np.ones((3, 2))], TypeError, r"row 0 has \(2, 3\), row 1 \(3, 2\)"),
        ([[1, 2], 3], TypeError, "a list of rows and of single numbers, such as 3"),
        ([None, []], ValueError, "'s' has no row with any value: leave the modality out"),
        (None, TypeError, "'s' is None. Leave it out"),
        ([["a", "b"], ["c"]], TypeError, "'s' must hold real numbers; got <U1: text"),
        ({"a": [[1, 2], [3]], "b": [[1], [2, 3]]}, ValueError, "'a' and 'b' .* other lengths"),
        ({"a": [[1, 2], [3]], "b": [[1], [2, 3, 4]]}, ValueError, "other lengths, in rows 0, 1"),
        ({"a": [[1], None], "b": [None, [2]]}, ValueError, "are there in other rows"),
    ],
)
def test_lists_that_do_not_fit(rows, error, text):
    with pytest.raises(error, match=text):
        from_arrays({"s": rows})


def test_slices_of_padded_rows_keep_their_width():
    batch = from_arrays({"s": ROWS, "v": V})
    same(Batch.cat([batch[:1], batch[1:]]), batch)
