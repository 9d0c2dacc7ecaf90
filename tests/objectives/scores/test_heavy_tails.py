import math

import numpy as np
import pyro.distributions as dist
import pytest
import scipy.stats
import torch

from sure_pyro.objectives import LaplaceNLL, StudentTNLL

pytestmark = pytest.mark.usefixtures("double")


@pytest.fixture
def numbers():
    loc, y = torch.randn(2, 20)
    return loc, 0.2 + torch.rand(20), y


@pytest.mark.parametrize("df", [2.1, 5.0, 30.0])
def test_student_t_is_scipys_with_the_variance_of_the_site(numbers, df):
    loc, scale, y = numbers
    fn = StudentTNLL(df).rescored(dist.Normal(loc, scale))
    theirs = scipy.stats.t(df, loc, scale * math.sqrt((df - 2) / df))
    np.testing.assert_allclose(fn.log_prob(y), theirs.logpdf(y))
    np.testing.assert_allclose(theirs.var(), scale**2)
    torch.testing.assert_close(fn.variance, scale**2)


def test_laplace_is_scipys_with_the_variance_of_the_site(numbers):
    loc, scale, y = numbers
    fn = LaplaceNLL().rescored(dist.Normal(loc, scale))
    theirs = scipy.stats.laplace(loc, scale / math.sqrt(2))
    np.testing.assert_allclose(fn.log_prob(y), theirs.logpdf(y))
    np.testing.assert_allclose(theirs.var(), scale**2)
    torch.testing.assert_close(fn.variance, scale**2)


def test_many_degrees_of_freedom_are_a_gaussian(numbers):
    loc, scale, y = numbers
    fn = dist.Normal(loc, scale)
    difference = StudentTNLL(1e6).rescored(fn).log_prob(y) - fn.log_prob(y)
    assert difference.abs().max() < 1e-3


@pytest.mark.parametrize("handler", [StudentTNLL, LaplaceNLL])
def test_pull_of_a_large_error_on_the_location_is_bounded(handler):
    loc = torch.zeros(3, requires_grad=True)
    fn = handler().rescored(dist.Normal(loc, torch.ones(3)))
    score = -fn.log_prob(torch.tensor([1.0, 100.0, 1e4]))
    (gradient,) = torch.autograd.grad(score.sum(), loc)
    assert gradient.abs().max() < 3


def test_degrees_of_freedom_without_a_variance_are_refused():
    with pytest.raises(ValueError, match="`df` must be greater than 2, .* got 2.0"):
        StudentTNLL(2.0)
