import pytest
import torch
from pyro.infer import Trace_ELBO

from sure_pyro.guides import EnsembleGuide, fit_weights
from tests.guides.conftest import make_conjugate


def stacked():
    guide = EnsembleGuide(members=3)
    guide.learn("weights", {"weight": torch.arange(3.0).reshape(3, 1, 1)})
    return guide


def test_a_draw_is_a_member_and_draws_are_all_of_them():
    guide = stacked()
    assert {guide.sample(seed)["weight"].item() for seed in range(30)} == {0, 1, 2}
    assert [w["weight"].item() for w in guide.draws(30, seed=4)] == [0, 1, 2]


def test_both_parts_of_a_draw_are_of_one_member():
    guide = stacked()
    guide.learn("more", {"bias": torch.arange(3.0)})
    for seed in range(10):
        w = guide.sample(seed)
        assert w["weight"].item() == w["bias"].item()


def test_members_of_a_linear_regression_all_end_in_its_one_optimum(double):
    """Why it can not recover the posterior: the mean is right, the variance zero."""
    problem = make_conjugate()
    guide = fit_weights(
        EnsembleGuide(members=2), problem.program(), (problem.x, problem.y), Trace_ELBO(),
        steps=300, lr=0.1,
    )  # fmt: skip
    members = torch.stack([w["weight"][0] for w in guide.draws(2, seed=0)])
    sd = problem.covariance.diagonal().sqrt()
    assert ((members - problem.mean) / sd).abs().max() < 0.1
    assert (members.var(0) / sd.square()).max() < 0.01


def test_too_few_members_are_refused():
    with pytest.raises(ValueError, match="`members` must be at least 2; got 1"):
        EnsembleGuide(members=1)
