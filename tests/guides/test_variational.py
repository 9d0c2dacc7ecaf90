import pytest
import torch
from pyro.infer import Trace_ELBO

from sure_pyro.guides import LowRankGuide, MAPGuide, MeanFieldGuide, fit_weights
from tests.guides.conftest import make_conjugate


def fitted(guide, problem, steps=120, particles=2, **options):
    elbo = Trace_ELBO(num_particles=particles)
    return fit_weights(
        guide, problem.program(), (problem.x, problem.y), elbo, steps=steps, **options
    )


def sds(problem, error):
    """An error in posterior standard deviations."""
    return error / problem.covariance.diagonal().sqrt()


def test_map_finds_the_posterior_mean(double):
    """From a start of its own, without noise: to a thousandth of a standard deviation or so."""
    problem = make_conjugate(at_mode=False)
    guide = fitted(MAPGuide(), problem, steps=200, particles=1, lr=0.1)
    assert sds(problem, guide.mean() - problem.mean).abs().max() < 0.02
    assert (guide.covariance() == 0).all()
    assert len(guide.draws(30, seed=0)) == 1


def test_mean_field_finds_the_mean_and_underestimates_correlated_weights(conjugate):
    """Its optimum is 1 / diag(precision); 25 % and a quarter of an sd for the noise of training."""
    guide = fitted(MeanFieldGuide(), conjugate)
    variance = guide.covariance().diagonal()
    torch.testing.assert_close(variance, 1 / conjugate.precision.diagonal(), rtol=0.25, atol=0)
    assert sds(conjugate, guide.mean() - conjugate.mean).abs().max() < 0.25
    exact = conjugate.covariance.diagonal()
    assert (variance[:2] < 0.6 * exact[:2]).all()  # correlation 0.8: 1 - 0.64 is left


@pytest.mark.slow
def test_low_rank_finds_the_correlation_that_mean_field_misses(double):
    """As many columns as weights: the whole covariance, within 35 % of each variance."""
    problem = make_conjugate()
    guide = fitted(LowRankGuide(rank=3), problem, steps=500, particles=3)
    sd = problem.covariance.diagonal().sqrt()
    error = (guide.covariance() - problem.covariance) / (sd[:, None] * sd)
    assert error.abs().max() < 0.35
    assert guide.covariance()[0, 1] < 0.5 * problem.covariance[0, 1] < 0
    assert sds(problem, guide.mean() - problem.mean).abs().max() < 0.3


@pytest.mark.parametrize("guide", [MAPGuide(), MeanFieldGuide(), LowRankGuide(rank=1)])
def test_parameters_exist_before_the_first_call(conjugate, guide):
    data = (conjugate.x, conjugate.y)
    first = guide.approximation(conjugate.program(), data)
    names = set(first.state_dict())
    assert names
    second = guide.approximation(conjugate.program(), data)
    second.load_state_dict(first.state_dict())  # an autoguide before its call has nothing to load
    assert set(second.state_dict()) == names


def test_mini_batches_train_to_the_same_posterior(conjugate):
    guide = fitted(MeanFieldGuide(), conjugate, steps=120, batch_size=15)
    variance = guide.covariance().diagonal()
    torch.testing.assert_close(variance, 1 / conjugate.precision.diagonal(), rtol=0.4, atol=0)


def test_training_leaves_the_global_generator_alone_and_repeats(conjugate):
    before = torch.get_rng_state()
    first = fitted(MeanFieldGuide(), conjugate, steps=3, seed=1).mean()
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(fitted(MeanFieldGuide(), conjugate, steps=3, seed=1).mean(), first)
    assert not torch.equal(fitted(MeanFieldGuide(), conjugate, steps=3, seed=2).mean(), first)


def test_rank_must_be_positive():
    with pytest.raises(ValueError, match="`rank` must be at least 1; got 0"):
        LowRankGuide(rank=0)
