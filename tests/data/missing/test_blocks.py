"""Block missingness: groups lose modalities as a whole."""

import pytest
import torch

from sure_pyro.data import Batch, missing
from tests.data.strategies import small_batch


def test_groups_lose_modalities_as_a_whole_at_the_rate():
    """5 standard errors over 5,000 groups: false alarm below 1e-5."""
    group = torch.arange(10_000) // 2
    batch = Batch({f"m{i}": torch.ones(10_000, 1) for i in range(3)}, group=group)
    available = missing.block(batch, 0.5, 0).available
    assert torch.equal(available[::2], available[1::2])
    assert available.any(1).all()
    share = 1 - available[::2].double().mean(0)
    assert ((share - 0.5).abs() < 5 * (0.25 / 5000) ** 0.5).all()


def test_some_modalities():
    batch = Batch({f"m{i}": torch.ones(400, 1) for i in range(3)}, group=torch.arange(400) // 4)
    available = missing.block(batch, 0.5, 0, modalities=["m1"]).available
    assert available[:, [0, 2]].all()
    assert not available[:, 1].all()


def test_incomplete_rows_keep_what_they_have_rather_than_lose_everything():
    for seed in range(20):
        hidden = missing.block(small_batch(), 0.5, seed).available
        assert hidden[1, 1]  # row 1 has `s` only, whatever its group loses
        assert hidden.any(1).all()


def test_errors():
    with pytest.raises(ValueError, match="the batch has no `group`"):
        missing.block(small_batch(group=None), 0.2, 0)
    with pytest.raises(ValueError, match="0.6 can not be reached"):
        missing.block(small_batch(), 0.6, 0)
