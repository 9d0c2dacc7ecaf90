import numpy as np
import torch

from sure_pyro.compare.masks import RANDOM, draw_masks
from sure_pyro.data import Batch, from_arrays, load_masks, missing, save_masks


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
    slices = masked.slices()
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
