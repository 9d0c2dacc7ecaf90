"""The whole way against data whose truth is known in closed form."""

import numpy as np
import pytest
import torch

import sure_pyro as sp
from sure_pyro.data import synthetic
from sure_pyro.metrics import variance_ratio
from sure_pyro.propagation import FullCovariance, sampling, taylor


@pytest.fixture(scope="module")
def known():
    """Incomplete rows, what generated them, and its linear fusion."""
    batch, truth = synthetic(400, share=0.7, noise=0.5, seed=3)
    gappy = sp.missing.mcar(batch, rate=0.4, seed=4)
    moments = {name: (m.double(), v.double()) for name, (m, v) in truth.conditional(gappy).items()}

    def fusion(z):
        return sum(z[name] @ W for name, W in truth.weights.items())

    mean = {name: m for name, (m, _) in moments.items()}
    variance = {name: v for name, (_, v) in moments.items()}
    return gappy, truth, fusion, mean, variance


def test_linear_fusion_of_the_true_means_is_the_true_mean(known):
    gappy, truth, fusion, mean, variance = known
    expected = truth.output(gappy).mean.double()
    torch.testing.assert_close(taylor(fusion, mean, variance).mean, expected, rtol=1e-5, atol=1e-5)


def test_taylor_is_exact_on_a_linear_fusion(known):
    gappy, truth, fusion, mean, variance = known
    moments = taylor(fusion, mean, variance)
    for name, W in truth.weights.items():
        expected = variance[name] @ W.square()
        torch.testing.assert_close(moments.sources[name], expected, rtol=1e-5, atol=1e-12)


def test_taylor_with_the_full_covariance_is_the_true_variance(known):
    gappy, truth, _, mean, _ = known
    W = torch.cat(list(truth.weights.values()))
    z = torch.cat(list(mean.values()), -1)
    moments = taylor(lambda z: z @ W, z, FullCovariance(truth.covariance(gappy).double()))
    expected = truth.output(gappy).missing.double()
    torch.testing.assert_close(moments.variance, expected, rtol=1e-5, atol=1e-6)


def test_sampling_agrees_with_taylor_within_its_standard_error(known):
    """400 rows at 5 standard errors: false-alarm rate 2e-4 if drawn anew; the seed is fixed."""
    _, _, fusion, mean, variance = known
    num_samples = 4000
    exact = taylor(fusion, mean, variance).variance
    drawn = sampling(fusion, mean, variance, num_samples=num_samples, seed=0).variance
    assert ((drawn - exact).abs() <= 5 * exact * (2 / (num_samples - 1)) ** 0.5 + 1e-12).all()


@pytest.mark.slow
def test_fitted_reconstructions_approach_the_true_moments():
    """Fitted on 4000 rows: bounds leave room for estimation, not for a wrong scale or a bias."""
    batch, truth = synthetic(5000, share=0.7, noise=0.5, seed=0)
    train, validation, test = batch.split((0.7, 0.1, 0.2), seed=0)
    backbone = sp.MLPBackbone.for_data(train, latent_size=4, dropout=0.0)
    sp.pretrain(backbone, train, validation, epochs=40, progress_bar=False)
    options = {"width": 64, "dropout": 0.0}
    model = sp.SURE(backbone, reconstructor_options=options)
    sp.fit(model, train, validation, epochs=40, progress_bar=False)
    gappy = sp.missing.hide_exactly(test, 1, seed=1)
    prediction = model.predict(gappy, "taylor")
    _compare_latents(model, test, gappy, truth, prediction)
    _compare_outputs(test, gappy, truth, prediction)


def _compare_latents(model, test, gappy, truth, prediction):
    """Latents are a linear image of the features: their best error is known too."""
    latents = model.encode(test)
    for i, (name, known) in enumerate(truth.conditional(gappy).items()):
        hidden = ~gappy.available[:, i]
        project = model.backbone.projectors[i].weight / model.backbone.standardizer.scales[name]
        project = project / model.space.moments(name)[1].unsqueeze(-1)  # (D, features)
        x = test.features[name][hidden]
        best = ((x - known.mean[hidden]) @ project.T).square().mean()  # error of the true mean
        loc, scale = (part.squeeze(1)[hidden] for part in prediction.reconstruction[name])
        e = (latents.values[name].squeeze(1)[hidden] - loc).square()
        assert e.mean() < 1.15 * best
        assert 0.85 < variance_ratio(scale.square().numpy(), e.numpy()).overall < 1.15


def _compare_outputs(test, gappy, truth, prediction):
    known = truth.output(gappy)
    e = (test.target.reshape(-1, 1) - prediction.mean).square()
    assert e.mean() < 1.15 * known.variance.mean()
    ratio = (prediction.total.mean() / e.mean()).item()
    assert 0.8 < ratio < 1.25
    assert np.isfinite(ratio)
