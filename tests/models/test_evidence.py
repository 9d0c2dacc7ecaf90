import math

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import scipy.stats
import torch
from pyro import poutine

import sure_pyro as sp
from sure_pyro.models import MaskedReconstructor, NormalInverseGamma, PairwiseReconstructor
from sure_pyro.models.evidence import EvidentialLocScale, evidential_loc_scale
from sure_pyro.models.reconstructor import LocScale
from sure_pyro.objectives import CorrelationELBO, Evidential, pearson
from tests.models.conftest import make_batch

OPTIONS = {"reconstructor_options": {"width": 16, "evidential": True}}


@pytest.fixture
def four(double):
    """Loc, nu, alpha, beta of 30 entries, and values."""
    g = torch.Generator().manual_seed(0)
    loc, y = torch.randn(2, 30, generator=g)
    nu, alpha, beta = torch.rand(3, 30, generator=g) + 0.3
    return (loc, nu, 1 + alpha, beta), y


def test_is_scipys_student_t(four):
    (loc, nu, alpha, beta), y = four
    scale = (beta * (1 + nu) / (nu * alpha)).sqrt().numpy()
    theirs = scipy.stats.t(2 * alpha.numpy(), loc.numpy(), scale)
    fn = NormalInverseGamma(*four[0])
    np.testing.assert_allclose(fn.log_prob(y), theirs.logpdf(y))
    np.testing.assert_allclose(fn.mean, theirs.mean())
    np.testing.assert_allclose(fn.variance, theirs.var())


def test_is_the_hierarchy_with_mean_and_variance_integrated_out(four):
    """By quadrature over the variance, given which y is Gaussian."""
    (loc, nu, alpha, beta), y = (tuple(x[0] for x in four[0]), four[1][0])
    inverse_gamma = scipy.stats.invgamma(alpha.item(), scale=beta.item())
    s2 = inverse_gamma.ppf((np.arange(200_000) + 0.5) / 200_000)
    density = scipy.stats.norm(loc.item(), np.sqrt(s2 * (1 + 1 / nu.item()))).pdf(y.item()).mean()
    found = NormalInverseGamma(loc, nu, alpha, beta).log_prob(y).exp().item()
    assert found == pytest.approx(density, rel=1e-5)


def test_variance_splits_into_what_data_can_and_can_not_remove(four):
    (loc, nu, alpha, beta), _ = four
    fn = NormalInverseGamma(loc, nu, alpha, beta)
    torch.testing.assert_close(fn.aleatoric, beta / (alpha - 1))
    torch.testing.assert_close(fn.epistemic, beta / (nu * (alpha - 1)))
    torch.testing.assert_close(fn.variance, fn.aleatoric + fn.epistemic)
    more = NormalInverseGamma(loc, 1e9 * nu, alpha, beta)
    torch.testing.assert_close(more.variance, more.aleatoric)


def test_draws_have_its_moments(four):
    """100 000 draws: 6 standard errors of mean and variance, df = 12 so that they exist."""
    fn = NormalInverseGamma(
        torch.tensor(1.0), torch.tensor(0.5), torch.tensor(6.0), torch.tensor(2.0)
    )
    draws = fn.expand((2,)).sample((50_000,)).flatten()
    n, sd = len(draws), fn.scale.item()
    assert abs(draws.mean().item() - 1.0) < 6 * sd / math.sqrt(n)
    kurtosis = 3 + 6 / (12 - 4)
    assert abs(draws.var().item() / sd**2 - 1) < 6 * math.sqrt((kurtosis - 1) / n)


def test_gradient_agrees_with_finite_differences(four):
    parameters = tuple(x[:5].clone().requires_grad_() for x in four[0])
    handler = Evidential(regularizer=0.3)

    def score(*parameters):
        return handler.rescored(NormalInverseGamma(*parameters)).log_prob(four[1][:5])

    assert torch.autograd.gradcheck(score, parameters)


def test_score_is_likelihood_and_the_price_of_wrong_evidence(four):
    (loc, nu, alpha, beta), y = four

    def model():
        with pyro.plate("rows", 15):
            fn = NormalInverseGamma(*(x.reshape(15, 2) for x in four[0])).to_event(1)
            pyro.sample("y", fn, obs=y.reshape(15, 2))

    elbo = CorrelationELBO(weight=0.7)
    with Evidential(regularizer=0.3):
        loss = elbo.differentiable_loss(model, lambda: None)
    fn = NormalInverseGamma(loc, nu, alpha, beta)
    price = 0.3 * (y - loc).abs() * (2 * nu + alpha)
    u, e = (x.reshape(15, 2).mean(-1) for x in (fn.variance, (y - loc).square()))
    expected = (price - fn.log_prob(y)).mean() + 0.7 * (1 - pearson(u, e))
    torch.testing.assert_close(torch.as_tensor(loss), expected)


def test_a_normal_site_is_refused_with_what_to_do():
    def model():
        with pyro.plate("rows", 3):
            pyro.sample("z_image", dist.Normal(torch.zeros(3), 1.0), obs=torch.ones(3))

    with (
        pytest.raises(ValueError, match=r"the site 'z_image' has Normal.*'evidential': True"),
        Evidential(),
    ):
        model()


def test_a_site_with_its_own_uncertainty_keeps_its_likelihood():
    def model():
        with pyro.plate("rows", 3):
            fn = dist.Normal(torch.zeros(3), 1.0)
            pyro.sample("y", fn, obs=torch.ones(3), infer={"uncertainty": torch.ones(3)})

    with Evidential():
        trace = poutine.trace(model).get_trace()
    assert isinstance(trace.nodes["y"]["fn"], dist.Normal)


def test_bad_regularizer():
    with pytest.raises(ValueError, match="`regularizer` must be at least 0; got -1"):
        Evidential(-1.0)


def test_loc_scale_has_the_numbers_of_its_distribution(double):
    output = torch.randn(4, 3, 8)
    found = evidential_loc_scale(output)
    loc, scale = found
    fn = found.distribution()
    assert fn.event_shape == (2,)
    torch.testing.assert_close(fn.mean, loc)
    torch.testing.assert_close(fn.variance, scale.square())
    torch.testing.assert_close(fn.base_dist.nu, found.nu)
    assert (fn.base_dist.alpha > 1).all()
    root_beta = 1e-3 + output[..., 2:4].exp()
    torch.testing.assert_close(fn.base_dist.beta, root_beta.square())


def test_without_evidence_the_distribution_is_normal():
    fn = LocScale(torch.zeros(2, 1, 3), torch.ones(2, 1, 3)).distribution()
    assert isinstance(fn.base_dist, dist.Normal)
    assert fn.event_shape == (3,)


def test_masked_reconstructor_gives_evidence_on_request():
    values = {"a": torch.randn(5, 1, 3), "b": torch.randn(5, 4, 2)}
    visible = {"a": torch.rand(5, 1) < 0.5, "b": torch.rand(5, 4) < 0.5}
    shapes = {"a": (1, 3), "b": (4, 2)}
    found = MaskedReconstructor(shapes, width=16, evidential=True)(values, visible)
    for name, r in found.items():
        assert isinstance(r, EvidentialLocScale)
        assert r.loc.shape == r.scale.shape == r.nu.shape == r.alpha.shape == values[name].shape
    plain = MaskedReconstructor(shapes, width=16)(values, visible)
    assert type(plain["a"]) is LocScale


@pytest.mark.parametrize("objective", ["evidential", "evidential+pcc", "elbo+pcc"])
def test_trains_predicts_and_is_saved(objective, tmp_path):
    train, validation = make_batch(task="regression"), make_batch(seed=1, task="regression")
    model = sp.SURE(sp.MLPBackbone.for_data(train, latent_size=4), **OPTIONS)
    history = sp.fit(model, train, validation, objective, epochs=3, progress_bar=False)
    losses = history.phase("reconstruction")["validation/loss"]
    assert losses.iloc[-1] < losses.iloc[0]
    prediction = model.predict(validation, "both", num_samples=20)
    split = prediction.reconstruction["image"].distribution().base_dist
    torch.testing.assert_close(
        split.aleatoric + split.epistemic, prediction.reconstruction["image"].scale.square()
    )
    model.save(tmp_path)
    again = sp.SURE.load(tmp_path).predict(validation)
    assert torch.equal(again.total, prediction.total)


def test_fit_without_evidence_says_what_to_do():
    train = make_batch()
    model = sp.SURE(sp.MLPBackbone.for_data(train), reconstructor_options={"width": 16})
    with pytest.raises(ValueError, match="let the reconstructor give the evidence"):
        sp.fit(model, train, train, "evidential", epochs=1, progress_bar=False)


def test_the_pairwise_reconstructor_refuses_it():
    with pytest.raises(ValueError, match="can not be `evidential`; use reconstructor='masked'"):
        PairwiseReconstructor({"a": (1, 3), "b": (1, 2)}, evidential=True)
