import pytest
import torch
from pyro.infer.autoguide import AutoLaplaceApproximation

from sure_pyro.guides import LaplaceGuide
from sure_pyro.guides.laplace import inverse_root


def batches(problem, *sizes):
    return list(zip(problem.x.split(sizes), problem.y.split(sizes), strict=True))


def test_full_laplace_is_the_conjugate_posterior(conjugate):
    """Exact to rounding, whatever the mini-batches."""
    guide = LaplaceGuide().fit_curvature(conjugate.program(), batches(conjugate, 20, 40))
    torch.testing.assert_close(guide.mean(), conjugate.mean)
    torch.testing.assert_close(guide.covariance(), conjugate.covariance)


def test_full_laplace_is_that_of_pyro(conjugate):
    auto = AutoLaplaceApproximation(conjugate.program())
    auto(conjugate.x, conjugate.y)
    theirs = auto.laplace_approximation(conjugate.x, conjugate.y)
    guide = LaplaceGuide().fit_curvature(conjugate.program(), batches(conjugate, 60))
    tril = theirs.scale_tril
    ours = guide.covariance()
    torch.testing.assert_close(ours, tril @ tril.mT * theirs.scale * theirs.scale[:, None])


def test_draws_have_the_posterior_moments(conjugate):
    """5 standard errors of 4000 draws: a false alarm of 1e-5 in all."""
    guide = LaplaceGuide().fit_curvature(conjugate.program(), batches(conjugate, 60))
    draws = torch.stack([w["weight"].reshape(-1) for w in guide.draws(4000, seed=0)])
    s2 = conjugate.covariance.diagonal()
    assert ((draws.mean(0) - conjugate.mean).abs() < 5 * (s2 / 4000).sqrt()).all()
    assert ((draws.var(0) - s2).abs() < 5 * s2 * (2 / 4000) ** 0.5).all()


def test_diagonal_laplace_inverts_the_diagonal_of_the_precision(conjugate):
    """Which underestimates the variance of the correlated weights, as the docstring says.

    600 passes: a relative standard error of sqrt(2/600) = 0.06 of the precision; 5 of them.
    """
    guide = LaplaceGuide(structure="diagonal", passes=600)
    guide.fit_curvature(conjugate.program(), batches(conjugate, 60))
    variance = guide.covariance().diagonal()
    torch.testing.assert_close(variance, 1 / conjugate.precision.diagonal(), rtol=0.3, atol=0)
    exact = conjugate.covariance.diagonal()
    assert (variance[:2] < 0.6 * exact[:2]).all()  # the pair of correlation 0.8: 1 - 0.64
    assert guide.covariance()[0, 1] == 0


def test_structure_follows_the_number_of_parameters():
    guide = LaplaceGuide()
    assert guide.structure_for(1300) == "full"
    assert guide.structure_for(300_000) == "diagonal"
    assert LaplaceGuide(structure="full").structure_for(300_000) == "full"


def test_inverse_root(double):
    A = torch.randn(5, 5)
    precision = A @ A.mT + torch.eye(5)
    R = inverse_root(precision)
    torch.testing.assert_close(R @ R.mT, precision.inverse())


def test_wrong_options_are_named():
    with pytest.raises(ValueError, match="`structure` must be 'auto', 'full' or 'diagonal'; got"):
        LaplaceGuide(structure="kfac")
    with pytest.raises(ValueError, match="`passes` must be at least 1; got 0"):
        LaplaceGuide(passes=0)
    with pytest.raises(ValueError, match=r"`over` must name parts of .*; got \('fusion',\)"):
        LaplaceGuide(over=("fusion",))
    with pytest.raises(ValueError, match="'laplace' has learnt nothing yet"):
        LaplaceGuide().sample(0)
