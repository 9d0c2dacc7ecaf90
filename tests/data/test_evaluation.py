"""Evaluation masks: kept, read back and applied to the same effect."""

import numpy as np
import pytest
import torch

from sure_pyro.data import EvaluationMasks, load_masks, missing, save_masks, synthetic
from tests.data.strategies import same, small_batch


def test_kept_masks_reproduce_the_batch(tmp_path):
    batch, _ = synthetic(40)
    hidden = missing.within(missing.mcar(batch, 0.3, 5), 0.2, 6, axis="entries")
    save_masks(tmp_path / "m.npz", EvaluationMasks.of(hidden, 5, "mcar 0.3, within 0.2"))
    masks = load_masks(tmp_path / "m.npz")
    assert (masks.seed, masks.description) == (5, "mcar 0.3, within 0.2")
    same(masks.apply(batch), hidden)
    assert [p.name for p in tmp_path.iterdir()] == ["m.npz"]


def test_masks_fit_their_rows_only():
    masks = EvaluationMasks.of(small_batch(), 0, "as recorded")
    with pytest.raises(ValueError, match=r"for 4 rows of \('v', 's'\); .* has 3 rows"):
        masks.apply(small_batch()[:3])


def test_masks_never_bring_anything_back():
    everything = torch.ones(4, 2).bool()
    masks = EvaluationMasks(everything, ("v", "s"), 0, "nothing hidden")
    same(masks.apply(small_batch()), small_batch())


def test_another_file(tmp_path):
    np.savez(tmp_path / "x.npz", available=np.ones(2))
    with pytest.raises(ValueError, match="holds no evaluation masks; it has"):
        load_masks(tmp_path / "x.npz")
