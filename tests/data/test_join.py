"""Concatenation spells out masks that only some batches have, and refuses what does not fit."""

import pytest
import torch

from sure_pyro.data import Batch
from tests.data.strategies import small_batch


def test_masks_that_only_some_batches_have_are_spelt_out():
    parts = {"v": torch.tensor([[1, 0]] * 4).bool()}
    tokens = {"s": torch.tensor([[1, 1, 0]] * 4).bool()}
    joined = Batch.cat([small_batch(), small_batch(recorded=parts, padding=tokens)])
    assert len(joined) == 8
    assert joined.recorded["v"][:4].all(1).tolist() == [True, False, True, True]  # row 1 lacks v
    assert joined.recorded["v"][4:, 1].any().item() is False
    assert joined.padding["s"][:4].all()
    assert not joined.padding["s"][4:, 2].any()


def test_nothing_to_join():
    with pytest.raises(ValueError, match="at least one batch"):
        Batch.cat([])


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"features": {"s": torch.ones(4, 3, 2), "v": torch.ones(4, 2)}}, "modalities of batch 0"),
        ({"features": {"v": torch.ones(4, 3), "s": torch.ones(4, 3, 2)}}, "event shapes"),
        ({"features": {"v": torch.ones(4, 2).double(), "s": torch.ones(4, 3, 2)}}, "dtypes"),
        ({"class_names": ["a", "b", "c"]}, "class names of batch 0 is .* of batch 1"),
        ({"target": torch.rand(4), "class_names": None}, "task of batch 0 is classification"),
        ({"group": None}, r"`group` is there in some batches, but not in batch \[1\]"),
    ],
)
def test_batches_that_do_not_fit(changes, text):
    with pytest.raises(ValueError, match=text):
        Batch.cat([small_batch(), small_batch(**changes)])
