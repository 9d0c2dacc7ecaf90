"""MAR and MNAR: the rate is exact, and what it depends on shows."""

import pytest
import torch

from sure_pyro.data import Batch, missing
from sure_pyro.data.missing.dependent import modality_score, target_score
from tests.data.strategies import small_batch

N = 20_000


def normal(M: int = 3, n: int = N, **fields) -> Batch:
    source = torch.Generator().manual_seed(0)
    x = {f"m{i}": torch.randn(n, 3, generator=source) for i in range(M)}
    return Batch(x, **{"target": torch.randn(n, generator=source), **fields})


def correlation(a, b):
    return torch.corrcoef(torch.stack([a.double(), b.double()]))[0, 1].item()


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.6])
@pytest.mark.parametrize("strength", [-3.0, 0.0, 2.0])
def test_mar_given_a_modality(rate, strength):
    """5 standard errors of a share and of a zero correlation: false alarm below 1e-4."""
    batch = normal()
    available = missing.mar(batch, rate, 1, given="m0", strength=strength).available
    assert available[:, 0].all()  # what it depends on stays visible
    share = 1 - available[:, 1:].double().mean().item()
    assert abs(share - rate) < 5 * (rate * (1 - rate) / N) ** 0.5
    hidden, s = ~available[:, 1], modality_score(batch, "m0")
    r = correlation(hidden, s)
    assert abs(r) < 5 / N**0.5 if strength == 0 else r * strength > 0.2 * abs(strength)
    # Given the visible score, the hidden values have no say: no correlation with their own.
    assert abs(correlation(hidden, modality_score(batch, "m1"))) < 5 / N**0.5


@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_mar_given_the_target(rate):
    """5 standard errors, the rows being dependent within: false alarm below 1e-4."""
    batch = normal()
    available = missing.mar(batch, rate, 1, given="target").available
    assert available.any(1).all()
    assert abs(1 - available.double().mean().item() - rate) < 5 * (rate * (1 - rate) / N) ** 0.5
    assert correlation(3 - available.sum(1), batch.target) > 0.3


def test_mar_given_classes_hides_more_of_the_later_ones():
    target = torch.arange(N) % 3
    available = missing.mar(normal(target=target), 0.4, 1, given="target").available
    rates = [1 - available[target == c].double().mean().item() for c in range(3)]
    assert rates[0] < rates[1] - 0.1 < rates[2] - 0.2


def test_mar_is_exact_for_incomplete_rows_too():
    """5 standard errors: false alarm below 1e-5."""
    lacking = torch.ones(N, 3).bool()
    lacking[::2, 2] = False
    batch = normal(available=lacking)
    available = missing.mar(batch, 0.4, 1, given="target").available
    share = 1 - available.sum().item() / lacking.sum().item()
    assert available.any(1).all()
    assert abs(share - 0.4) < 5 * (0.24 / (2.5 * N)) ** 0.5 * 2  # entries of a row are dependent


@pytest.mark.parametrize("keep_one", [True, False])
@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_mnar_depends_on_the_value_that_goes(rate, keep_one):
    """5 standard errors per modality: false alarm below 1e-4."""
    batch = normal()
    available = missing.mnar(batch, rate, 1, strength=3.0, keep_one=keep_one).available
    share = 1 - available.double().mean(0)
    assert ((share - rate).abs() < 5 * (rate * (1 - rate) / N) ** 0.5).all()
    assert available.any(1).all() == keep_one
    for i, name in enumerate(batch.modalities):
        assert correlation(~available[:, i], modality_score(batch, name)) > 0.3
    low = missing.mnar(batch, rate, 1, strength=-3.0, modalities=["m1"]).available
    assert low[:, [0, 2]].all()
    assert correlation(~low[:, 1], modality_score(batch, "m1")) < -0.3


def test_the_score_of_what_is_absent_is_zero():
    scores = modality_score(small_batch(), "v")
    assert scores[1] == 0
    assert scores[[0, 2, 3]].mean().item() == pytest.approx(0, abs=1e-12)
    assert scores[[0, 2, 3]].std(correction=0).item() == pytest.approx(1)


def test_the_score_of_a_multi_label_target_counts_labels():
    labels = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    s = target_score(small_batch(target=labels))
    assert s[1] == s[2]
    assert s[0] < s[1] < s[3]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda b: missing.mar(b, 0.2, 0, given="w"),
            r"'target' or one of .*\['v', 's'\]; got 'w'",
        ),
        (
            lambda b: missing.mar(b.replace(target=None), 0.2, 0, given="target"),
            "needs targets; the batch has none",
        ),
        (lambda b: missing.mar(b, 0.9, 0, given="target"), "0.9 can not be reached"),
        (lambda b: missing.mnar(b, 0.8, 0), "0.8 can not be reached"),
        (lambda b: missing.mnar(b, 0.1, 0, modalities=["w"]), r"names the modalities \['w'\]"),
    ],
)
def test_errors(call, text):
    with pytest.raises(ValueError, match=text):
        call(small_batch())
