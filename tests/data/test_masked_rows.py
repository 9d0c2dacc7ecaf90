import itertools

import numpy as np
import pytest
import torch

from sure_pyro.data import (
    Batch,
    draw_masks,
    every_mask,
    from_arrays,
    load_masks,
    missing,
    save_masks,
    synthetic,
)
from sure_pyro.data.masked_rows import one_mask_each
from sure_pyro.evaluation.slices import RANDOM, hidden_slices


@pytest.fixture(scope="module")
def parts():
    """Training, validation and test rows of three modalities."""
    return synthetic(300, task="classification", seed=0)[0].split(seed=0)


@pytest.fixture(scope="module")
def masked(parts):
    return draw_masks(parts[2], seed=0)


def test_every_row_under_every_size(masked):
    M, R = len(masked.complete.modalities), len(masked.complete)
    assert len(masked.batch) == M * R
    hidden = (~masked.batch.available).sum(1).numpy()
    np.testing.assert_array_equal(hidden, masked.hidden)
    np.testing.assert_array_equal(masked.row[R : 2 * R], np.arange(R))
    np.testing.assert_array_equal(masked.batch.target[R : 2 * R], masked.complete.target)


def test_the_same_seed_draws_the_same_masks(parts):
    a, b, c = (draw_masks(parts[2], seed).batch.available for seed in (1, 1, 2))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_masks_can_be_applied_again_from_the_file(masked, tmp_path):
    save_masks(tmp_path / "masks.npz", masked.to_save())
    again = load_masks(tmp_path / "masks.npz").apply(Batch.cat([masked.complete] * 3))
    assert torch.equal(again.available, masked.batch.available)


def test_what_is_absent_stays_absent_and_is_never_scored(parts):
    gappy = missing.mcar(parts[2], 0.3, seed=3)
    masked = draw_masks(gappy, seed=0)
    for i, name in enumerate(gappy.modalities):
        absent = ~gappy.available[:, i].numpy()[masked.row]
        assert not masked.batch.available[:, i].numpy()[absent].any()
        assert not absent[masked.hidden_on_purpose(name)].any()
        assert not masked.batch.available[masked.hidden_on_purpose(name), i].any()


def test_slices_part_the_rows(masked):
    slices = hidden_slices(masked)
    assert list(slices) == ["0", "1", "2", RANDOM]
    sizes = [slices[str(k)] for k in range(3)]
    assert (np.sum(sizes, 0) == 1).all()
    np.testing.assert_array_equal(slices[RANDOM], ~slices["0"])


def test_mixed_takes_each_row_once_with_something_hidden(masked):
    rows = masked.mixed()
    assert sorted(masked.row[rows]) == list(range(len(masked.complete)))
    counts = np.bincount(masked.hidden[rows])
    assert counts[0] == 0
    assert abs(counts[1] - counts[2]) <= 1


def test_a_bootstrap_draws_rows_or_groups_whole(masked):
    np.testing.assert_array_equal(masked.unit, masked.row)
    x = {"a": np.zeros((6, 1)), "b": np.zeros((6, 1))}
    grouped = from_arrays(x, np.zeros(6), group=np.array([7, 7, 8, 8, 9, 9]))
    assert draw_masks(grouped, 0).unit.tolist() == [7, 7, 8, 8, 9, 9] * 2
    one_group = from_arrays(x, np.zeros(6), group=np.full(6, 7))
    assert draw_masks(one_group, 0).unit.tolist() == [0, 1, 2, 3, 4, 5] * 2


def test_every_mask_shows_every_part_of_a_row_once(parts):
    masked = every_mask(parts[2])
    R, M = len(parts[2]), 3
    assert len(masked.batch) == R * (2**M - 1)
    assert torch.equal(masked.batch.target, parts[2].target[masked.row])
    names, rows = np.unique(masked.pattern, return_counts=True)
    assert len(names) == 2**M - 1
    assert set(rows) == {R}
    for name in names:
        assert sorted(masked.row[masked.pattern == name]) == list(range(R))
    np.testing.assert_array_equal(masked.hidden, (~masked.batch.available).sum(1).numpy())


def test_every_mask_of_gappy_rows_repeats_no_row_within_a_pattern(parts):
    gappy = missing.mcar(parts[2], 0.4, seed=3)
    masked = every_mask(gappy)
    assert len(masked.batch) == int((2 ** gappy.available.sum(1) - 1).sum())
    pairs = list(zip(masked.pattern, masked.row, strict=True))
    assert len(set(pairs)) == len(pairs)
    has = gappy.available[masked.row]
    assert (has | ~masked.batch.available).all()  # what is absent never comes back
    np.testing.assert_array_equal(
        masked.hidden, (has.sum(1) - masked.batch.available.sum(1)).numpy()
    )


def test_every_mask_of_too_many_modalities_is_refused():
    batch = from_arrays({f"m{i}": np.zeros((2, 1)) for i in range(11)}, np.zeros(2))
    with pytest.raises(ValueError, match="11 modalities have 2047 masks, too many for every row"):
        every_mask(batch)


def test_one_mask_each_keeps_rows_apart_and_sizes_even(parts):
    a, b = (one_mask_each(parts[2], seed=s) for s in (0, 0))
    assert torch.equal(a.available, b.available)
    assert torch.equal(a.target, parts[2].target)
    counts = np.bincount((~a.available).sum(1).numpy(), minlength=3)
    assert counts.max() - counts.min() <= 1
    patterns = {tuple(row) for row in a.available.tolist()}
    assert patterns == set(itertools.product([True, False], repeat=3)) - {(False,) * 3}
