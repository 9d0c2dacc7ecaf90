"""The sampler behind the generators: its marginals are exact although one entry stays."""

from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from sure_pyro.data.missing.keep import draw_kept, solve_eps


def exact_distribution(c: torch.Tensor) -> dict[tuple[bool, ...], float]:
    """Probability of each pattern: independent with c * eps, given that one is kept."""
    k = c * solve_eps(c.unsqueeze(0)).squeeze(0)
    chance = {
        kept: float(torch.where(torch.tensor(kept), k, 1 - k).prod())
        for kept in product([False, True], repeat=len(c))
        if any(kept)
    }
    total = sum(chance.values())
    return {kept: p / total for kept, p in chance.items()}


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(0.05, 1.0), min_size=1, max_size=5))
def test_marginals_are_the_wanted_ones(keep):
    c = torch.tensor(keep, dtype=torch.float64)
    if c.sum() <= 1.01:  # the boundary is its own test
        c = (c + 1) / 2 if len(c) > 1 else torch.ones(1, dtype=torch.float64)
    chance = exact_distribution(c)
    marginals = [sum(p for kept, p in chance.items() if kept[j]) for j in range(len(c))]
    assert marginals == pytest.approx(c.tolist(), abs=1e-6)


def test_draws_follow_the_exact_distribution():
    """Pearson's statistic over the 7 patterns of 3 entries, at a false alarm rate of 1e-4."""
    n, c = 50_000, torch.tensor([0.3, 0.6, 0.4], dtype=torch.float64)
    kept = draw_kept(c.expand(n, 3), torch.Generator().manual_seed(0))
    chance = exact_distribution(c)
    counts = {pattern: int((kept == torch.tensor(pattern)).all(1).sum()) for pattern in chance}
    assert sum(counts.values()) == n
    statistic = sum((counts[k] - n * p) ** 2 / (n * p) for k, p in chance.items())
    assert statistic < chi2.ppf(1 - 1e-4, len(chance) - 1)


def test_at_the_boundary_exactly_one_is_kept():
    """5 standard errors of a share: false alarm below 1e-5."""
    n, c = 20_000, torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    kept = draw_kept(c.expand(n, 3), torch.Generator().manual_seed(0))
    assert (kept.sum(1) == 1).all()
    assert ((kept.double().mean(0) - c).abs() < 5 * (c * (1 - c) / n).sqrt()).all()


def test_wanted_sums_below_one_keep_one_in_proportion():
    """5 standard errors: false alarm below 1e-5."""
    n, c = 20_000, torch.tensor([0.1, 0.3, 0.0], dtype=torch.float64)
    kept = draw_kept(c.expand(n, 3), torch.Generator().manual_seed(0))
    assert (kept.sum(1) == 1).all()
    assert abs(kept[:, 1].double().mean().item() - 0.75) < 5 * (0.75 * 0.25 / n) ** 0.5
    assert not kept[:, 2].any()


@pytest.mark.parametrize("c", [[1.0, 1.0], [0.0, 1.0], [0.0, 0.0], [1.0]])
def test_certain_entries(c):
    kept = draw_kept(torch.tensor([c] * 50, dtype=torch.float64), torch.Generator().manual_seed(0))
    assert (kept == torch.tensor(c).bool()).all()


def test_without_keeping_one_entries_are_independent():
    keep = torch.zeros(10, 3, dtype=torch.float64)
    assert not draw_kept(keep, torch.Generator(), keep_one=False).any()


def test_many_entries():
    keep = torch.full((200, 500), 0.9, dtype=torch.float64)
    share = draw_kept(keep, torch.Generator().manual_seed(0)).double().mean().item()
    assert abs(share - 0.9) < 5 * (0.09 / 100_000) ** 0.5  # false alarm below 1e-6
