"""The pair of every kind of distribution: closed forms, simulation, wrappers, and what has none."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine

from sure_pyro.objectives import uncertainty_error_pair
from sure_pyro.objectives.moments import NoPairError, observed_entries, pairs_of_entries

pytestmark = pytest.mark.usefixtures("double")


def v(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


COUNTS, P = v(5, 12, 20), v(0.2, 0.5, 0.9)
CHOLESKY = torch.tensor([[1.0, 0, 0], [0.5, 2, 0], [-1, 0.3, 0.7]], dtype=torch.float64)
FACTOR = torch.tensor([[1.0, 0.5], [0, 2], [1, -1]], dtype=torch.float64)
# Name: distribution of three entries, its mean and its variance in closed form.
CLOSED = {
    "Bernoulli": lambda: (dist.Bernoulli(P), P, P * (1 - P)),
    "Bernoulli of logits": lambda: (dist.Bernoulli(logits=P.logit()), P, P * (1 - P)),
    "Binomial": lambda: (dist.Binomial(COUNTS, P), COUNTS * P, COUNTS * P * (1 - P)),
    "Binomial of logits": lambda: (
        dist.Binomial(COUNTS, logits=P.logit()), COUNTS * P, COUNTS * P * (1 - P)),
    "BetaBinomial": lambda: (
        dist.BetaBinomial(v(2, 1, 3), v(3, 1, 1), COUNTS),
        COUNTS * v(0.4, 0.5, 0.75),
        COUNTS * v(6, 1, 3) * (v(5, 2, 4) + COUNTS) / (v(25, 4, 16) * v(6, 3, 5))),
    "Poisson": lambda: (dist.Poisson(COUNTS), COUNTS, COUNTS),
    "NegativeBinomial": lambda: (
        dist.NegativeBinomial(COUNTS, P), COUNTS * P / (1 - P), COUNTS * P / (1 - P) ** 2),
    "GammaPoisson": lambda: (
        dist.GammaPoisson(v(2, 3, 4), v(1, 2, 4)), v(2, 1.5, 1), v(4, 2.25, 1.25)),
    "ZeroInflatedPoisson": lambda: (
        dist.ZeroInflatedPoisson(COUNTS, gate=P),
        (1 - P) * COUNTS,
        (1 - P) * COUNTS * (1 + P * COUNTS)),
    "ZeroInflated Binomial": lambda: (
        dist.ZeroInflatedDistribution(dist.Binomial(COUNTS, v(0.5, 0.5, 0.5)), gate=P),
        (1 - P) * COUNTS / 2,
        (1 - P) * (COUNTS / 4 + P * COUNTS**2 / 4)),
    "Geometric": lambda: (dist.Geometric(P), (1 - P) / P, (1 - P) / P**2),
    "Gamma": lambda: (dist.Gamma(v(2, 3, 4), v(1, 2, 4)), v(2, 1.5, 1), v(2, 0.75, 0.25)),
    "Beta": lambda: (dist.Beta(v(1, 2, 3), v(1, 2, 1)), v(0.5, 0.5, 0.75), v(1 / 12, 0.05, 0.0375)),
    "LogNormal": lambda: (
        dist.LogNormal(v(0, 1, 0), v(0.5, 0.3, 0.2)),
        (v(0, 1, 0) + v(0.25, 0.09, 0.04) / 2).exp(),
        v(0.25, 0.09, 0.04).expm1() * (v(0, 2, 0) + v(0.25, 0.09, 0.04)).exp()),
    "Exponential": lambda: (dist.Exponential(v(1, 2, 4)), v(1, 0.5, 0.25), v(1, 0.25, 0.0625)),
    "Uniform": lambda: (dist.Uniform(v(0, 0, -1), v(1, 6, 1)), v(0.5, 3, 0), v(1 / 12, 3, 1 / 3)),
    "Laplace": lambda: (dist.Laplace(v(0, 1, 2), v(1, 2, 3)), v(0, 1, 2), v(2, 8, 18)),
    "StudentT": lambda: (
        dist.StudentT(v(9, 10, 12), v(0, 1, 2), v(1, 2, 1)), v(0, 1, 2), v(9 / 7, 5, 1.2)),
    "Gumbel": lambda: (
        dist.Gumbel(v(0, 1, 2), v(1, 2, 3)),
        v(0, 1, 2) + 0.5772156649015329 * v(1, 2, 3),
        torch.pi**2 / 6 * v(1, 4, 9)),
    "HalfNormal": lambda: (
        dist.HalfNormal(v(1, 2, 3)), v(1, 2, 3) * (2 / torch.pi) ** 0.5,
        v(1, 4, 9) * (1 - 2 / torch.pi)),
    "Weibull": lambda: (
        dist.Weibull(v(1, 2, 3), v(1, 1, 1)), v(1, 2, 3), v(1, 4, 9)),  # of shape 1: exponential
    "Dirichlet": lambda: (
        dist.Dirichlet(v(1, 2, 3)), v(1, 2, 3) / 6, v(5, 8, 9) / 36 / 7),
    "Multinomial": lambda: (
        dist.Multinomial(10, v(0.2, 0.3, 0.5)), v(2, 3, 5), v(1.6, 2.1, 2.5)),
    "OneHotCategorical": lambda: (
        dist.OneHotCategorical(v(0.2, 0.3, 0.5)), v(0.2, 0.3, 0.5), v(0.16, 0.21, 0.25)),
    "MultivariateNormal": lambda: (
        dist.MultivariateNormal(v(0, 1, 2), scale_tril=CHOLESKY), v(0, 1, 2), v(1, 4.25, 1.58)),
    "LowRankMultivariateNormal": lambda: (
        dist.LowRankMultivariateNormal(v(0, 1, 2), FACTOR, v(1, 2, 3)),
        v(0, 1, 2), v(2.25, 6, 5)),
    "MixtureSameFamily": lambda: (
        dist.MixtureSameFamily(
            dist.Categorical(v(0.25, 0.75).expand(3, 2)),
            dist.Normal(v(0, 4).expand(3, 2), v(1, 2).expand(3, 2))),
        v(3, 3, 3), v(6.25, 6.25, 6.25)),
    "MaskedMixture": lambda: (
        dist.MaskedMixture(
            torch.tensor([True, False, True]), dist.Normal(v(0, 1, 2), v(1, 1, 1)),
            dist.Poisson(v(3, 4, 5))),
        v(3, 1, 5), v(3, 1, 5)),
    "Delta": lambda: (dist.Delta(v(1, 2, 3)), v(1, 2, 3), v(0, 0, 0)),
}  # fmt: skip
every_kind = pytest.mark.parametrize("kind", CLOSED)


@every_kind
def test_variance_and_squared_error_in_closed_form(kind):
    fn, mean, variance = CLOSED[kind]()
    value = fn.sample()
    found = pairs_of_entries(fn, value, None)
    torch.testing.assert_close(found.variance, variance)
    torch.testing.assert_close(found.error, (value - mean).square())
    assert found.counts.all()


@every_kind
def test_the_squared_error_is_the_variance_on_average(kind):
    """20,000 draws; 5 standard errors are missed by chance once in 10^6, for each of 90 entries."""
    fn, _, _ = CLOSED[kind]()
    found = pairs_of_entries(fn, fn.sample((20_000,)), None)
    standard_error = found.error.std(0) / 20_000**0.5
    assert ((found.error.mean(0) - found.variance[0]).abs() <= 5 * standard_error + 1e-12).all()


SEEN = torch.tensor([True, False, True])
WRAPPED = {
    "plain": lambda fn: (fn, torch.ones(3, dtype=torch.bool)),
    "to_event": lambda fn: (fn.to_event(1), torch.ones(3, dtype=torch.bool)),
    "mask": lambda fn: (fn.mask(SEEN), SEEN),
    "mask in to_event": lambda fn: (fn.mask(SEEN).to_event(1), SEEN),
    "mask of an event": lambda fn: (fn.to_event(1).mask(False), torch.zeros(3, dtype=torch.bool)),
    "mask of a mask": lambda fn: (fn.mask(SEEN).mask(~SEEN), torch.zeros(3, dtype=torch.bool)),
    "expand": lambda fn: (fn.expand([4, 3]), torch.ones(4, 3, dtype=torch.bool)),
    "mask, expand, to_event": lambda fn: (
        fn.mask(SEEN).expand([4, 3]).to_event(1),
        SEEN.expand(4, 3),
    ),
    "expanded in general": lambda fn: (
        dist.ExpandedDistribution(fn, torch.Size([4, 3])),
        torch.ones(4, 3, dtype=torch.bool),
    ),
}


@pytest.mark.parametrize("wrapped", WRAPPED)
@pytest.mark.parametrize("kind", ["Binomial", "BetaBinomial", "ZeroInflatedPoisson", "LogNormal"])
def test_wrappers_change_no_number(kind, wrapped):
    inside, mean, variance = CLOSED[kind]()
    fn, counts = WRAPPED[wrapped](inside)
    value = inside.sample(counts.shape[:-1])
    found = pairs_of_entries(fn, value, None)
    assert torch.equal(found.counts, counts)
    torch.testing.assert_close(found.variance, variance.expand(counts.shape))
    torch.testing.assert_close(found.error[counts], (value - mean).square()[counts])


@pytest.mark.parametrize("wrapped", WRAPPED)
def test_classes_are_paired_by_the_brier_score_under_every_wrapper(wrapped):
    p = torch.rand(3, 4).softmax(-1)
    fn, counts = WRAPPED[wrapped](dist.Categorical(p))
    value = torch.randint(4, counts.shape)
    found = pairs_of_entries(fn, value, None)
    brier = (torch.eye(4)[value] - p).square().sum(-1)
    torch.testing.assert_close(found.variance, (1 - p.square().sum(-1)).expand(counts.shape))
    torch.testing.assert_close(found.error[counts], brier[counts])


def test_ordered_classes_have_the_probabilities_of_their_cutpoints():
    fn = dist.OrderedLogistic(v(0, 1), v(-1, 0, 2))
    below = torch.sigmoid(v(-1, 0, 2) - v(0, 1).unsqueeze(-1))
    p = torch.diff(below, prepend=0 * below[:, :1], append=1 + 0 * below[:, :1])
    found = pairs_of_entries(fn, torch.tensor([1, 3]), None)
    torch.testing.assert_close(found.variance, 1 - p.square().sum(-1))
    torch.testing.assert_close(found.error, (torch.eye(4)[[1, 3]] - p).square().sum(-1))


@pytest.mark.parametrize("hidden", [float("nan"), float("inf"), 1e30])
def test_what_does_not_count_has_no_effect_not_even_on_a_gradient(hidden):
    mean = torch.zeros(3, requires_grad=True)
    value = torch.where(SEEN, v(1, 1, 2), torch.tensor(hidden))
    found = pairs_of_entries(dist.Normal(mean, 1.0), value, SEEN)
    (gradient,) = torch.autograd.grad(found.error[SEEN].sum(), mean)
    torch.testing.assert_close(gradient, v(-2, 0, -4))


@pytest.mark.parametrize("number", [True, 1, 1.0])
def test_the_type_of_the_observation_changes_nothing(number):
    found = pairs_of_entries(dist.Bernoulli(P), torch.tensor([number] * 3), None)
    torch.testing.assert_close(found.error, (1 - P).square())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_squared_in_single(dtype):
    fn = dist.Normal(torch.zeros(3, dtype=dtype), torch.ones(3, dtype=dtype), validate_args=False)
    found = pairs_of_entries(fn, torch.full((3,), 1000.0, dtype=dtype), None)
    assert found.error.dtype == found.variance.dtype == torch.float32
    torch.testing.assert_close(found.error, torch.full((3,), 1e6, dtype=torch.float32))


def test_nan_is_not_observed_where_the_distribution_says_so():
    fn = dist.NanMaskedNormal(v(0, 1, 2), v(1, 2, 3))
    value = v(1, float("nan"), 4)
    assert torch.equal(observed_entries(fn, value, None), torch.tensor([True, False, True]))
    found = pairs_of_entries(fn.to_event(1), value, None)
    torch.testing.assert_close(found.error, v(1, 0, 4))


def test_masks_of_the_site_and_of_the_distribution_are_joined():
    inner = torch.tensor([[True, True, False], [True, True, True]])
    fn = dist.Normal(torch.zeros(2, 3), 1.0).mask(inner).to_event(1)
    found = observed_entries(fn, torch.zeros(2, 3), torch.tensor([True, False]))
    assert torch.equal(found, torch.tensor([[True, True, False], [False] * 3]))


CIRCLE = dist.VonMises(v(0, 1), v(1, 2))
WITHOUT = {
    "RelaxedBernoulli has no mean": lambda: dist.RelaxedBernoulli(v(0.5), P),
    "RelaxedOneHotCategorical has no mean": lambda: dist.RelaxedOneHotCategorical(v(0.5), P),
    "RelaxedBernoulliStraightThrough has no mean": lambda: dist.RelaxedBernoulliStraightThrough(
        v(0.5), P
    ),
    "TransformedDistribution has no mean": lambda: dist.TransformedDistribution(
        dist.Normal(P, 1.0), [dist.transforms.ExpTransform()]
    ),
    "LogisticNormal has no mean": lambda: dist.LogisticNormal(P, P),
    "FoldedDistribution has no mean": lambda: dist.FoldedDistribution(dist.Normal(P, 1.0)),
    "SkewLogistic has no mean": lambda: dist.SkewLogistic(P, P),
    "TruncatedPolyaGamma has no mean": lambda: dist.TruncatedPolyaGamma(P),
    "LKJ has no variance": lambda: dist.LKJ(2, v(1)),
    "VonMises lives on a circle": lambda: CIRCLE,
    "VonMises lives on a circle: its variance": lambda: CIRCLE.mask(True).to_event(1),
    "VonMises lives on a circle: its": lambda: dist.MixtureSameFamily(
        dist.Categorical(v(0.5, 0.5)), CIRCLE
    ),
    "SineBivariateVonMises lives on a circle": lambda: dist.SineBivariateVonMises(
        *(torch.tensor(x) for x in (0.0, 1.0, 2.0, 2.0, 0.5))
    ),
    "Empirical has no mean in closed form .Mean for discrete": lambda: dist.Empirical(
        torch.tensor([1, 2, 3]), torch.zeros(3)
    ),
}


@pytest.mark.parametrize("why", WITHOUT)
def test_without_mean_or_variance_it_says_why(why):
    fn = WITHOUT[why]()
    with pytest.raises(NoPairError, match=why):
        pairs_of_entries(fn, fn.sample(), None)


def test_an_uncertainty_of_its_own_stands_in_for_a_variance_but_not_for_a_mean():
    fn = dist.LKJ(2, v(1))
    value = torch.eye(2).expand(1, 2, 2) + 0.5
    found = pairs_of_entries(fn, value, None, own=v(3))
    torch.testing.assert_close(found.variance, torch.full((1, 2, 2), 3.0))
    torch.testing.assert_close(found.error, torch.full((1, 2, 2), 0.25))
    relaxed = dist.RelaxedBernoulli(v(0.5), P)
    with pytest.raises(NoPairError, match="no mean"):
        pairs_of_entries(relaxed, P, None, own=P)


INFINITE = {
    "Cauchy": lambda: dist.Cauchy(torch.zeros(6), 1.0),
    "HalfCauchy": lambda: dist.HalfCauchy(torch.ones(6)),
    "StudentT": lambda: dist.StudentT(v(1, 1.5, 2, 3, 4, 5)),
    "Pareto": lambda: dist.Pareto(torch.ones(6), v(1, 1.5, 2, 3, 4, 5)),
    "InverseGamma": lambda: dist.InverseGamma(v(1, 1.5, 2, 3, 4, 5), torch.ones(6)),
    "FisherSnedecor": lambda: dist.FisherSnedecor(torch.ones(6), v(2, 3, 4, 5, 6, 7)),
}


@pytest.mark.parametrize("kind", INFINITE)
def test_infinite_moments_are_refused_where_they_count(kind):
    fn = INFINITE[kind]()
    bad = 6 if "Cauchy" in kind else 3

    def model(mask):
        with pyro.plate("rows", 6), poutine.mask(mask=mask):
            pyro.sample("y", fn, obs=torch.ones(6))

    def pair(mask):
        return uncertainty_error_pair(poutine.trace(model).get_trace(mask), "y")

    why = f"site 'y' has no .*: mean or variance of {kind} is infinite or undefined in {bad} of 6"
    with pytest.raises(ValueError, match=why):
        pair(torch.ones(6, dtype=torch.bool))
    if bad == 3:
        u, _, counts = pair(torch.arange(6) > 2)
        torch.testing.assert_close(u[counts], fn.variance[3:])
