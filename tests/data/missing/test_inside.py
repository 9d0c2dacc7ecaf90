"""Missing steps and entries inside a modality."""

import pytest
import torch

from sure_pyro.data import Batch, missing
from tests.data.strategies import small_batch


def sequences(n: int = 4000) -> Batch:
    return Batch({"s": torch.ones(n, 4, 3), "v": torch.ones(n, 5)})


@pytest.mark.parametrize("rate", [0.2, 0.75])
def test_steps_go_whole_at_the_rate(rate):
    """5 standard errors over 16,000 steps: false alarm below 1e-5."""
    batch = missing.within(sequences(), rate, 0)
    steps = batch.recorded["s"].any(2)
    assert torch.equal(batch.recorded["s"].all(2), steps)
    assert "v" not in batch.recorded
    assert batch.available.all()
    assert steps.any(1).all()
    share = 1 - steps.double().mean().item()
    assert abs(share - rate) < 5 * (rate * (1 - rate) / 16_000) ** 0.5


def test_entries_go_one_by_one():
    """5 standard errors over 20,000 entries: false alarm below 1e-5."""
    batch = missing.within(sequences(), 0.5, 0, axis="entries", modalities=["v"])
    assert list(batch.recorded) == ["v"]
    assert batch.recorded["v"].any(1).all()
    share = 1 - batch.recorded["v"].double().mean().item()
    assert abs(share - 0.5) < 5 * (0.25 / 20_000) ** 0.5
    both = missing.within(sequences(), 0.5, 0, axis="entries")
    assert set(both.recorded) == {"s", "v"}


def test_padding_is_no_step_to_hide():
    tokens = torch.arange(4) < torch.tensor([[1], [2]] * 200)
    batch = Batch({"s": torch.ones(400, 4, 1)}, padding={"s": tokens})
    hidden = missing.within(batch, 0.5, 0)
    steps = hidden.recorded["s"].any(2)
    assert steps.any(1).all()
    assert not (steps & ~tokens).any()
    assert steps[::2, 0].all()  # the only token stays
    assert torch.equal(hidden.padding["s"], tokens)


def test_without_keeping_one_modalities_may_go():
    batch = missing.within(sequences(200), 0.9, 0, modalities=["s"], keep_one=False)
    gone = ~batch.available[:, 0]
    assert 0.4 < gone.double().mean() < 0.9  # 0.9^4 = 0.66
    assert not batch.recorded["s"][gone].any()


def test_errors():
    with pytest.raises(ValueError, match="'steps' or 'entries'; got 'rows'"):
        missing.within(small_batch(), 0.2, 0, axis="rows")
    with pytest.raises(ValueError, match=r"needs sequences .*\['v'\] of the event shapes"):
        missing.within(small_batch(), 0.2, 0, modalities=["v"])
    with pytest.raises(ValueError, match=r"needs sequences"):
        missing.within(Batch({"v": torch.ones(2, 2)}), 0.2, 0)
    with pytest.raises(ValueError, match="0.7 can not be reached: .* at most 0.6667"):
        missing.within(small_batch(), 0.7, 0)
    with pytest.raises(ValueError, match=r"names the modalities \['w'\]"):
        missing.within(small_batch(), 0.2, 0, axis="entries", modalities=["w"])
