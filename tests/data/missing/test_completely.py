"""MCAR: rates are exact although a row keeps one modality."""

import pytest
import torch

from sure_pyro.data import Batch, missing
from sure_pyro.data.patterns import mask_patterns
from tests.data.strategies import small_batch

N = 20_000


def complete(M: int, n: int = N) -> Batch:
    return Batch({f"m{i}": torch.ones(n, 1) for i in range(M)})


@pytest.mark.parametrize(
    ("M", "rate"), [(2, 0.1), (2, 0.5), (3, 0.3), (3, 0.6), (3, 2 / 3), (4, 0.7), (6, 0.5)]
)
def test_mcar_hides_the_rate(M, rate):
    """5 standard errors per modality, binomial: false alarm below 1e-5."""
    available = missing.mcar(complete(M), rate, 0).available
    assert available.any(1).all()
    share = 1 - available.double().mean(0)
    assert ((share - rate).abs() < 5 * (rate * (1 - rate) / N) ** 0.5).all()


def test_mcar_without_keeping_one_is_independent():
    """5 standard errors of the share of empty rows: false alarm below 1e-6."""
    available = missing.mcar(complete(2), 0.5, 0, keep_one=False).available
    empty = (~available.any(1)).double().mean().item()
    assert abs(empty - 0.25) < 5 * (0.25 * 0.75 / N) ** 0.5


def test_mcar_at_the_ends():
    assert missing.mcar(complete(3, 10), 0.0, 0).available.all()
    assert (missing.mcar(complete(3, 10), 2 / 3, 0).available.sum(1) == 1).all()
    assert not missing.mcar(complete(3, 10), 1.0, 0, keep_one=False).available.any()


def test_mcar_of_some_modalities_leaves_the_others():
    """5 standard errors: false alarm below 1e-5."""
    available = missing.mcar(complete(3), 0.9, 0, modalities=["m0", "m2"]).available
    assert available[:, 1].all()
    share = 1 - available.double().mean(0)
    assert ((share[[0, 2]] - 0.9).abs() < 5 * (0.09 / N) ** 0.5).all()


def test_mcar_of_incomplete_rows():
    """Rows with three of four have the rate, rows with one keep it. 5 standard errors: < 1e-5."""
    available = torch.ones(N, 4).bool()
    available[: N // 2, 0] = False
    available[: N // 4, 1:3] = False
    batch = Batch({f"m{i}": torch.ones(N, 1) for i in range(4)}, available)
    kept = missing.mcar(batch, 0.6, 0).available
    assert kept[: N // 4, 3].all()
    three = kept[N // 4 : N // 2, 1:].double().mean(0)
    assert ((three - 0.4).abs() < 5 * (0.24 / (N / 4)) ** 0.5).all()


def test_per_modality_hides_the_rates():
    """5 standard errors: false alarm below 1e-5."""
    rates = {"m0": 0.9, "m1": 0.2, "m2": 0.8}
    available = missing.per_modality(complete(4), rates, 0).available
    wanted = torch.tensor([0.9, 0.2, 0.8, 0.0]).double()
    share = 1 - available.double().mean(0)
    assert available.any(1).all()
    assert ((share - wanted).abs() <= 5 * (wanted * (1 - wanted) / N).sqrt()).all()


@pytest.mark.parametrize("k", [0, 1, 2, 3])
def test_hide_exactly_hides_exactly_and_every_choice_is_as_likely(k):
    """5 standard errors per pattern: false alarm below 1e-4."""
    batch = missing.hide_exactly(complete(4, 6000), k, 0)
    assert (batch.available.sum(1) == 4 - k).all()
    patterns = mask_patterns(batch)
    counts = torch.tensor([patterns.count(p) for p in set(patterns)]).double()
    choices = {0: 1, 1: 4, 2: 6, 3: 4}[k]
    assert len(counts) == choices
    p = 1 / choices
    assert ((counts / 6000 - p).abs() <= 5 * (p * (1 - p) / 6000) ** 0.5).all()


def test_hide_exactly_leaves_one_to_incomplete_rows():
    assert missing.hide_exactly(small_batch(), 1, 0).available.sum(1).tolist() == [1, 1, 1, 1]
    emptied = missing.hide_exactly(small_batch(), 1, 0, keep_one=False)
    assert emptied.available.sum(1).tolist() == [1, 0, 1, 1]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda b: missing.mcar(b, 0.7, 0), "0.7 can not be reached: .* at most 0.5"),
        (lambda b: missing.mcar(b, 1.2, 0), r"`rate` must lie in \[0, 1\]; got 1.2"),
        (lambda b: missing.mcar(b, float("nan"), 0), "got nan"),
        (lambda b: missing.mcar(b, 0.1, 0, modalities=["w"]), r"`modalities` names .*\['w'\]"),
        (lambda b: missing.per_modality(b, {"v": 0.7, "s": 0.4}, 0), "add up to 1.1.* at most 1"),
        (lambda b: missing.per_modality(b, {"w": 0.1}, 0), r"`rates` names .*\['w'\]"),
        (lambda b: missing.per_modality(b, {"v": -0.1}, 0), r"`rates\['v'\]` must lie in"),
        (lambda b: missing.hide_exactly(b, 2, 0), r"`k` must lie in 0..1 for 2 .* got 2"),
        (lambda b: missing.hide_exactly(b, -1, 0), "got -1"),
    ],
)
def test_errors(call, text):
    with pytest.raises(ValueError, match=text):
        call(small_batch())
