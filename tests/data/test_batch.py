"""The batch: what it cleans at its door, and that its parts are its rows."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sure_pyro.data import Batch
from tests.data.strategies import INF, NAN, batch_fields, same, small_batch


@pytest.mark.parametrize("garbage", [NAN, INF, 1e30])
def test_what_is_stored_under_missing_never_gets_in(garbage):
    x = {"v": torch.ones(2, 3), "s": torch.ones(2, 4, 2)}
    available = torch.tensor([[True, True], [False, True]])
    recorded = {"s": torch.ones(2, 4, 2).bool()}
    recorded["s"][0, 1, 1] = False
    padding = {"s": torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]]).bool()}
    clean = Batch(x, available, recorded=recorded, padding=padding)
    dirty = {name: values.clone() for name, values in x.items()}
    dirty["v"][1] = garbage
    dirty["s"][0, 1, 1] = garbage
    dirty["s"][0, 3] = garbage
    same(Batch(dirty, available, recorded=recorded, padding=padding), clean)
    assert (clean.features["v"][1] == 0).all()
    assert clean.features["s"].sum() == 16 - 1 - 2


def test_the_arguments_are_left_alone_and_not_shared():
    x = torch.full((2, 1), NAN)
    batch = Batch({"a": x, "b": torch.ones(2, 1)}, torch.tensor([[False, True]] * 2))
    assert x.isnan().all()
    assert batch.features["b"].data_ptr() != x.data_ptr()


def test_a_modality_of_which_nothing_was_recorded_is_unavailable():
    recorded = {"v": torch.tensor([[1, 1], [1, 1], [0, 0], [1, 0]]).bool()}
    batch = small_batch(recorded=recorded)
    assert batch.available[:, 0].tolist() == [True, False, False, True]
    assert not batch.recorded["v"][1].any()  # absent: nothing of it is recorded


def test_a_mask_that_says_everything_was_recorded_is_dropped():
    assert small_batch(recorded={"v": torch.ones(4, 2).bool()}).recorded == {}


def test_the_length_of_an_absent_sequence_is_unknown():
    tokens = torch.tensor([[1, 0, 0], [1, 1, 0]]).bool()
    x = {"s": torch.ones(2, 3, 1), "v": torch.ones(2, 1)}
    batch = Batch(x, torch.tensor([[False, True], [True, True]]), padding={"s": tokens})
    assert batch.padding["s"].tolist() == [[True] * 3, [True, True, False]]


def test_defaults():
    batch = Batch({"a": torch.ones(3, 2)}, target=torch.tensor([0, 2, 1]))
    assert batch.available.all()
    assert batch.task == "classification"
    assert batch.class_names == ("0", "1", "2")
    assert (batch.group, batch.test, batch.recorded, batch.padding) == (None, None, {}, {})


@pytest.mark.parametrize(
    ("rows", "numbers"),
    [
        (2, [2]),
        (-1, [3]),
        (np.int64(1), [1]),
        (torch.tensor(1), [1]),
        (slice(1, 3), [1, 2]),
        ([3, 0], [3, 0]),
        ([], []),
        (range(2), [0, 1]),
        (np.array([2, 2]), [2, 2]),
        (np.array([True, False, False, True]), [0, 3]),
        ([True, False, False, True], [0, 3]),
        (torch.tensor([3, 1]), [3, 1]),
        (torch.tensor([False, True, False, False]), [1]),
    ],
)
def test_rows_in_every_notation(rows, numbers):
    batch = small_batch()
    part = batch[rows]
    assert len(part) == len(numbers)
    assert torch.equal(part.features["s"], batch.features["s"][numbers])
    assert torch.equal(part.available, batch.available[numbers])
    assert torch.equal(part.group, batch.group[numbers])
    assert part.class_names == batch.class_names


def test_iteration_gives_batches_of_one_row():
    assert [int(row.group) for row in small_batch()] == [7, 7, 8, 9]


def test_slicing_checks_nothing(monkeypatch):
    batch = small_batch()
    monkeypatch.setattr(Batch, "__init__", None)  # the door is shut
    assert len(batch[torch.tensor([0, 1])]) == 2


@settings(deadline=None, max_examples=40)
@given(batch_fields(), st.randoms())
def test_permuting_and_cutting_give_back_the_rows(fields, random):
    batch = Batch(**fields)
    order = list(range(len(batch)))
    random.shuffle(order)
    shuffled = batch[order]
    back = shuffled[torch.tensor(order).argsort()]
    same(back, batch)
    k = random.randint(0, len(batch))
    if 0 < k < len(batch):
        same(Batch.cat([batch[:k], batch[k:]]), batch)


@settings(deadline=None, max_examples=40)
@given(batch_fields())
def test_a_batch_passes_its_own_door_unchanged(fields):
    batch = Batch(**fields)
    same(Batch(**{f.name: getattr(batch, f.name) for f in dataclasses.fields(batch)}), batch)
    same(batch.replace(), batch)


def test_fields_can_not_be_set():
    with pytest.raises(dataclasses.FrozenInstanceError):
        small_batch().target = None


def test_to_changes_floating_values_only():
    batch = small_batch(recorded={"v": torch.tensor([[1, 0]] * 4).bool()}).to(torch.float64)
    assert {x.dtype for x in batch.features.values()} == {torch.float64}
    assert (batch.target.dtype, batch.group.dtype) == (torch.int64, torch.int64)
    assert (batch.available.dtype, batch.recorded["v"].dtype) == (torch.bool, torch.bool)
    moved = batch.to("meta", torch.float32)
    assert moved.features["v"].device.type == moved.recorded["v"].device.type == "meta"
    assert moved.features["v"].dtype == torch.float32


def test_to_refuses_an_integer_dtype():
    with pytest.raises(TypeError, match=r"floating dtype; got \[torch.int64\]"):
        small_batch().to(torch.int64)


def test_complete_keeps_rows_that_lack_nothing():
    recorded = {"v": torch.tensor([[1, 1], [1, 1], [1, 1], [1, 0]]).bool()}
    complete = small_batch(recorded=recorded).complete()
    assert complete.group.tolist() == [7, 8]
    assert complete.recorded == {}


def test_padding_does_not_make_a_row_incomplete():
    tokens = torch.tensor([[1, 0, 0]] * 4).bool()
    assert small_batch(padding={"s": tokens}).complete().group.tolist() == [7, 8, 9]


def test_restrict_hides_and_blanks():
    batch = small_batch()
    hidden = batch.restrict(torch.tensor([[True, False]] + [[True, True]] * 3))
    assert hidden.available.tolist() == [[True, False], [False, True], [True, True], [True, True]]
    assert (hidden.features["s"][0] == 0).all()
    assert torch.equal(hidden.features["s"][1:], batch.features["s"][1:])
    assert (batch.features["s"][0] != 0).all()  # the original is as it was


def test_restrict_lowers_what_is_recorded():
    batch = small_batch(recorded={"v": torch.tensor([[1, 0]] * 4).bool()})
    kept = torch.ones(4, 3, 2).bool()
    kept[0, 1] = False
    hidden = batch.restrict(recorded={"s": kept, "v": torch.ones(4, 2).bool()})
    assert torch.equal(hidden.recorded["s"], kept)
    assert torch.equal(hidden.recorded["v"], batch.recorded["v"])  # nothing comes back
    assert (hidden.features["s"][0, 1] == 0).all()


@settings(deadline=None, max_examples=40)
@given(batch_fields(), st.integers(0, 2**31))
def test_restrict_never_makes_available_what_was_not(fields, seed):
    batch = Batch(**fields)
    source = torch.Generator().manual_seed(seed)
    kept = torch.rand(batch.available.shape, generator=source) < 0.6
    parts = {n: torch.rand(x.shape, generator=source) < 0.8 for n, x in batch.features.items()}
    hidden = batch.restrict(kept, parts, allow_empty=True)
    assert not (hidden.available & ~batch.available).any()
    for name in batch.modalities:
        assert not (hidden.recorded_entries(name) & ~batch.recorded_entries(name)).any()
        assert (hidden.features[name][~hidden.recorded_entries(name)] == 0).all()


def test_restrict_refuses_rows_that_lose_everything():
    with pytest.raises(ValueError, match=r"No modality is available in row 1 \(1 of 4\)"):
        small_batch().restrict(torch.tensor([[True, False]] * 4))
    emptied = small_batch().restrict(torch.tensor([[True, False]] * 4), allow_empty=True)
    again = emptied.restrict(torch.ones(4, 2).bool())  # it had nothing to lose
    assert again.available[1].tolist() == [False, False]
    assert emptied.replace(target=None).target is None


def test_replace_is_checked():
    with pytest.raises(ValueError, match="NaN or infinite"):
        small_batch().replace(features={"v": torch.full((4, 2), NAN), "s": torch.ones(4, 3, 2)})


def test_integer_features_are_accepted_as_token_numbers():
    batch = Batch({"text": torch.tensor([[3, 4, 0]]), "v": torch.ones(1, 1)})
    assert batch.to(torch.float64).features["text"].dtype == torch.int64


def test_a_batch_of_one_row():
    batch = Batch({"a": torch.ones(1, 1)}, target=torch.tensor([0.5]))
    assert len(batch[0]) == 1
    assert len(batch.complete()) == 1
    assert "1 row, regression (1 output)" in repr(batch)
