import math
import warnings

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from pyro.infer import SVI, Trace_ELBO
from pyro.infer.autoguide import AutoNormal
from pyro.nn import PyroModule, PyroSample

from sure_pyro.objectives import CorrelationELBO, FixedScale, pearson, preset


class Regression(PyroModule):
    """A plain heteroscedastic regression that knows nothing of this library."""

    def __init__(self):
        super().__init__()
        self.net = PyroModule[torch.nn.Linear](2, 2)

    def moments(self, x):
        loc, raw = self.net(x).unbind(-1)
        return loc, raw.exp()

    def forward(self, x, y):
        loc, scale = self.moments(x)
        with pyro.plate("rows", len(x)):
            return pyro.sample("y", dist.Normal(loc, scale), obs=y)


class BayesianRegression(Regression):
    def __init__(self):
        super().__init__()
        self.net.weight = PyroSample(dist.Normal(0.0, 1.0).expand([2, 2]).to_event(2))


def no_guide(*args):
    pass


@pytest.fixture
def data():
    x = torch.randn(64, 2)
    return x, x[:, 0] + x[:, 1].exp() * torch.randn(64)


@pytest.fixture
def model():
    return Regression()


def terms(model, x, y):
    loc, scale = model.moments(x)
    nll = -dist.Normal(loc, scale).log_prob(y).mean()
    return nll, pearson(scale.square(), (y - loc).detach().square()), (y - loc).square().mean()


def test_is_the_likelihood_with_the_correlation_beside_it(model, data):
    nll, rho, _ = terms(model, *data)
    loss = CorrelationELBO(weight=0.7).differentiable_loss(model, no_guide, *data)
    torch.testing.assert_close(loss, nll + 0.7 * (1 - rho))


def test_gradient_is_that_of_the_formula(model, data):
    nll, rho, _ = terms(model, *data)
    expected = torch.autograd.grad(nll + 0.7 * (1 - rho), list(model.parameters()))
    loss = CorrelationELBO(weight=0.7).differentiable_loss(model, no_guide, *data)
    torch.testing.assert_close(torch.autograd.grad(loss, list(model.parameters())), expected)


def test_without_weight_it_is_pyros_elbo_per_row(model, data):
    expected = Trace_ELBO().differentiable_loss(model, no_guide, *data) / 64
    loss = CorrelationELBO(weight=0.0).differentiable_loss(model, no_guide, *data)
    torch.testing.assert_close(loss, expected)


def test_error_that_is_not_detached_receives_a_gradient(data):
    def correlation_gradient(detach):
        elbo = CorrelationELBO(weight=1.0, detach_error=detach)
        loc = torch.zeros(64, requires_grad=True)

        def model(x, y):
            with pyro.plate("rows", 64), poutine.mask(mask=torch.tensor(True)):
                pyro.sample("y", dist.Normal(loc, x[:, 0].abs() + 0.1), obs=y)

        with FixedScale():
            loss = elbo.differentiable_loss(model, no_guide, *data)
            squared = -elbo.terms["elbo"]
        (gradient,) = torch.autograd.grad(loss, loc)
        assert squared.isfinite()
        return gradient

    x, y = data
    torch.testing.assert_close(correlation_gradient(True), -y / 64)  # of squared error alone
    assert (correlation_gradient(False) - correlation_gradient(True)).abs().max() > 1e-4


def test_works_as_module_call_with_svi_and_with_an_autoguide(data):
    model = BayesianRegression()
    guide = AutoNormal(model)
    svi = SVI(model, guide, pyro.optim.Adam({"lr": 0.01}), CorrelationELBO(weight=1.0))
    before = np.mean([svi.evaluate_loss(*data) for _ in range(10)])
    for _ in range(200):
        svi.step(*data)
    assert np.mean([svi.evaluate_loss(*data) for _ in range(10)]) < before - 0.3


def test_elbo_module_has_the_parameters_of_its_model(model, data):
    step = CorrelationELBO(weight=1.0)(model, PyroModule())
    assert len(list(step.parameters())) == 2
    assert step.elbo.terms == {}


@pytest.mark.parametrize("vectorized", [False, True])
def test_particles_of_a_model_without_latents_change_nothing(model, data, vectorized):
    expected = CorrelationELBO(weight=0.7).differentiable_loss(model, no_guide, *data)
    elbo = CorrelationELBO(
        weight=0.7, num_particles=3, vectorize_particles=vectorized, max_plate_nesting=1
    )
    torch.testing.assert_close(elbo.differentiable_loss(model, no_guide, *data), expected)


def test_mini_batches_average_to_the_full_data_elbo(model, data):
    x, y = data
    full = CorrelationELBO(weight=0.0).differentiable_loss(model, no_guide, x, y)
    parts = [
        CorrelationELBO(weight=0.0).differentiable_loss(model, no_guide, x[rows], y[rows])
        for rows in torch.arange(64).split(16)
    ]
    torch.testing.assert_close(torch.stack(parts).mean(), full)


def test_subsampled_plate_estimates_the_same_number(data):
    x, y = data

    def model(x, y, rows):
        with pyro.plate("rows", 64, subsample=rows):
            pyro.sample("y", dist.Normal(x[rows, 0], 1.0), obs=y[rows])

    elbo = CorrelationELBO(weight=0.0)
    full = elbo.differentiable_loss(model, no_guide, x, y, torch.arange(64))
    parts = [
        elbo.differentiable_loss(model, no_guide, x, y, rows) for rows in torch.arange(64).split(16)
    ]
    torch.testing.assert_close(
        torch.stack(list(map(torch.as_tensor, parts))).mean(), torch.as_tensor(full)
    )


def test_weights_and_choice_of_sites():
    loc, y = torch.randn(2, 30)
    scale = torch.rand(2, 30) + 0.1

    def model():
        with pyro.plate("rows", 30):
            pyro.sample("a", dist.Normal(loc, scale[0]), obs=y)
            pyro.sample("b", dist.Normal(loc, scale[1]), obs=y)

    def correlation(sites):
        elbo = CorrelationELBO(weight=1.0, sites=sites)
        loss = elbo.differentiable_loss(model, no_guide)
        return loss + elbo.terms["elbo"]

    e = (y - loc).square()
    a, b = (1 - pearson(s.square(), e) for s in scale)
    torch.testing.assert_close(correlation(None), a + b)
    torch.testing.assert_close(correlation(["b"]), b)
    torch.testing.assert_close(correlation({"a": 2.0, "b": 0.5}), 2 * a + 0.5 * b)
    with pytest.raises(ValueError, match=r"names \['c'\], but the observed sites .* \['a', 'b'\]"):
        correlation(["c"])


def test_schedule_scales_lambda(model, data):
    elbo = CorrelationELBO(weight=2.0, schedule=lambda progress: progress)
    nll, rho, _ = terms(model, *data)
    torch.testing.assert_close(elbo.differentiable_loss(model, no_guide, *data), nll)
    elbo.progress = 0.5
    torch.testing.assert_close(elbo.differentiable_loss(model, no_guide, *data), nll + 1 - rho)


def test_partly_observed_site_counts_only_what_was_observed():
    y, scale = torch.randn(20), torch.rand(20) + 0.1
    seen = torch.arange(20) % 4 > 0

    def model():
        with pyro.plate("rows", 20):
            pyro.sample("y", dist.Normal(0.0, scale), obs=y, obs_mask=seen)

    def guide():
        with pyro.plate("rows", 20), poutine.mask(mask=~seen):
            pyro.sample("y_unobserved", dist.Normal(0.0, scale))

    elbo = CorrelationELBO(weight=1.0)
    loss = elbo.differentiable_loss(model, guide)
    nll = -dist.Normal(0.0, scale).log_prob(y)[seen].mean()
    rho = pearson(scale[seen].square(), y[seen].square())
    torch.testing.assert_close(elbo.terms["rho/y"], rho)
    torch.testing.assert_close(loss, nll + 1 - rho)


def test_rows_are_the_outermost_plate_and_the_rest_is_averaged():
    y, scale = torch.randn(12, 3, 2), torch.rand(12, 3, 2) + 0.1

    def model():
        with pyro.plate("rows", 12, dim=-2), pyro.plate("tokens", 3, dim=-1):
            pyro.sample("z", dist.Normal(0.0, scale).to_event(1), obs=y)

    elbo = CorrelationELBO(weight=1.0)
    elbo.differentiable_loss(model, no_guide)
    expected = pearson(scale.square().mean((1, 2)), y.square().mean((1, 2)))
    torch.testing.assert_close(elbo.terms["rho/z"], expected)


def test_classes_are_paired_by_brier_score_and_its_expectation():
    p, y = torch.rand(25, 4).softmax(-1), torch.randint(4, (25,))

    def model():
        with pyro.plate("rows", 25):
            pyro.sample("y", dist.Categorical(probs=p), obs=y)

    elbo = CorrelationELBO(weight=1.0)
    elbo.differentiable_loss(model, no_guide)
    brier = (torch.eye(4)[y] - p).square().sum(-1)
    expected = pearson(1 - p.square().sum(-1), brier)
    torch.testing.assert_close(elbo.terms["rho/y"], expected)


def test_a_head_may_bring_its_own_uncertainty():
    logits, u, y = torch.randn(25), torch.rand(25), torch.randint(2, (25,)).float()

    def model():
        with pyro.plate("rows", 25):
            pyro.sample("y", dist.Bernoulli(logits=logits), obs=y, infer={"uncertainty": u})

    elbo = CorrelationELBO(weight=1.0)
    elbo.differentiable_loss(model, no_guide)
    torch.testing.assert_close(elbo.terms["rho/y"], pearson(u, (y - logits.sigmoid()).square()))


def sites(**distributions):
    """A model of rows that observes one value at each."""

    def model():
        with pyro.plate("rows", 30):
            for name, fn in distributions.items():
                pyro.sample(name, fn, obs=torch.full((30,), 0.5))

    return model


SCALE = torch.linspace(0.5, 2, 30)
GOOD = dist.Normal(torch.linspace(-1, 1, 30) ** 2, SCALE)
LEFT_OUT = {
    "RelaxedBernoulli has no mean": lambda: dist.RelaxedBernoulli(torch.tensor(0.5), SCALE / 4),
    "VonMises lives on a circle": lambda: dist.VonMises(SCALE, SCALE),
    "mean or variance of Cauchy is infinite or undefined in 30 of 30": lambda: dist.Cauchy(
        0.0, SCALE
    ),
    "mean or variance of StudentT is infinite or undefined in 30 of 30": lambda: dist.StudentT(
        2.0, 0.0, SCALE
    ),
}


@pytest.mark.parametrize("why", LEFT_OUT)
def test_a_site_without_a_pair_is_left_out_and_said_once(why):
    bad = LEFT_OUT[why]()
    elbo = CorrelationELBO(weight=1.0)
    with pytest.warns(UserWarning, match=f"The site 'b' is left out of the correlation: {why}"):
        loss = elbo.differentiable_loss(sites(a=GOOD, b=bad), no_guide)
    assert elbo.differentiable_loss(sites(a=GOOD, b=bad), no_guide) == loss  # and not a word more
    assert list(elbo.left_out) == ["b"]
    assert set(elbo.terms) == {"elbo", "rho/a"}
    value = torch.full((30,), 0.5)
    nll = -(GOOD.log_prob(value) + bad.log_prob(value)).sum() / 60  # its likelihood counts
    rho = pearson(SCALE.square(), (value - GOOD.mean).square())
    torch.testing.assert_close(loss, nll + 1 - rho)


@pytest.mark.parametrize("why", LEFT_OUT)
def test_no_site_left_is_refused_and_by_name_too(why):
    model = sites(b=LEFT_OUT[why]())
    with (
        pytest.warns(UserWarning, match="'b' is left out"),
        pytest.raises(ValueError, match=r"No observed site is left .*'b': .*`CorrelationELBO\(0.0"),
    ):
        CorrelationELBO(weight=1.0).differentiable_loss(model, no_guide)
    with pytest.raises(ValueError, match=f"`sites` names 'b', which can not be correlated: {why}"):
        CorrelationELBO(weight=1.0, sites=["b"]).differentiable_loss(model, no_guide)


def test_a_model_that_observes_nothing_has_no_correlation():
    def model():
        pyro.factor("penalty", torch.tensor(1.0))

    with pytest.raises(ValueError, match="correlated: the model observes nothing. Use a"):
        CorrelationELBO(weight=1.0).differentiable_loss(model, no_guide)


@pytest.mark.parametrize("why", LEFT_OUT)
def test_without_weight_nothing_is_said(why):
    elbo = CorrelationELBO(weight=0.0)
    assert math.isfinite(elbo.loss(sites(b=LEFT_OUT[why]()), no_guide))
    assert why in elbo.left_out["b"]


def test_an_uncertainty_of_its_own_brings_an_infinite_variance_back():
    def model():
        with pyro.plate("rows", 30):
            fn = dist.StudentT(2.0, torch.zeros(30), SCALE)
            pyro.sample("y", fn, obs=SCALE.flip(0), infer={"uncertainty": SCALE})

    elbo = CorrelationELBO(weight=1.0)
    elbo.loss(model, no_guide)
    torch.testing.assert_close(elbo.terms["rho/y"], pearson(SCALE, SCALE.flip(0).square()))


@pytest.mark.parametrize("handler", [poutine.trace, FixedScale])
def test_a_training_that_has_diverged_shows(handler):
    model = sites(a=dist.Normal(GOOD.mean, GOOD.mean * torch.nan, validate_args=False))
    elbo = CorrelationELBO(weight=1.0)
    with pyro.validation_enabled(False), handler(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Encountered NaN")  # of Pyro, in debug mode
        assert math.isnan(elbo.differentiable_loss(model, no_guide))
    assert elbo.left_out == {}


def test_sites_that_end_like_pyros_are_all_correlated():
    x = SCALE.flip(0)
    model = sites(y=GOOD, y_observed=dist.Normal(0.0, x), y_unobserved=dist.Normal(1.0, x))
    elbo = CorrelationELBO(weight=1.0)
    elbo.loss(model, no_guide)
    assert {k for k in elbo.terms if k != "elbo"} == {
        "rho/y", "rho/y_observed", "rho/y_unobserved"
    }  # fmt: skip
    chosen = CorrelationELBO(weight=1.0, sites=["y_observed"])
    chosen.loss(model, no_guide)
    assert set(chosen.terms) == {"elbo", "rho/y_observed"}


@pytest.mark.parametrize(
    "fn",
    [
        dist.Binomial(40.0, SCALE / 4),
        dist.Poisson(SCALE),
        dist.NegativeBinomial(SCALE, 0.5),
        dist.Geometric(SCALE / 4),
        dist.Gamma(SCALE, 2.0),
    ],
)
def test_counts_are_correlated_by_their_mean_and_variance(fn):
    y = fn.sample() + torch.finfo(torch.float32).eps * isinstance(fn, dist.Gamma)

    def model():
        with pyro.plate("rows", 30):
            pyro.sample("y", fn, obs=y)

    elbo = CorrelationELBO(weight=1.0)
    elbo.loss(model, no_guide)
    torch.testing.assert_close(elbo.terms["rho/y"], pearson(fn.variance, (y - fn.mean).square()))


def test_sure_preset_is_squared_error_and_correlation(model, data):
    elbo, handler = preset("sure", weight=0.7)
    _, rho, mse = terms(model, *data)
    with handler():
        loss = elbo.differentiable_loss(model, no_guide, *data)
    torch.testing.assert_close(loss, 0.5 * mse + 0.5 * math.log(2 * math.pi) + 0.7 * (1 - rho))


@pytest.mark.parametrize(("name", "weight"), [("elbo", 0.0), ("elbo+pcc", 0.7)])
def test_other_presets_keep_the_likelihood(model, data, name, weight):
    elbo, handler = preset(name, weight=0.7)
    nll, rho, _ = terms(model, *data)
    with handler():
        loss = elbo.differentiable_loss(model, no_guide, *data)
    torch.testing.assert_close(loss, nll + weight * (1 - rho))


def test_batch_of_one_has_no_correlation_and_a_finite_gradient(model, data):
    x, y = data
    elbo = CorrelationELBO(weight=1.0)
    loss = elbo.differentiable_loss(model, no_guide, x[:1], y[:1])
    loss.backward()
    assert elbo.terms["rho/y"] == 0
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"`weight` \(lambda\) must be at least 0; got -1"):
        CorrelationELBO(weight=-1.0)
