"""The yardstick itself, against regressions on many samples and against plain Gaussian algebra."""

import pytest
import torch

from sure_pyro.data import missing, synthetic
from sure_pyro.data.synthesis import tau_squared

N = 40_000


def stacked(features, names):
    return torch.cat([features[name] for name in names], 1)


def test_conditional_is_the_gaussian_formula():
    batch, truth = synthetic(50, share=0.6, dtype=torch.float64, seed=1)
    A = stacked({n: a.T for n, a in truth.loadings.items()}, truth.loadings).T
    S = 0.6 * A @ A.T + 0.4 * torch.eye(12, dtype=torch.float64)
    z = stacked(batch.features, "abc")
    hidden = missing.within(missing.mcar(batch, 0.4, 2), 0.3, 3, axis="entries")
    moments = truth.conditional(hidden)
    mean, variance = (torch.cat([m[k] for m in moments.values()], 1) for k in (0, 1))
    full = truth.covariance(hidden)
    v = torch.cat([hidden.recorded_entries(name) for name in "abc"], 1)
    for b in range(50):
        gain = S[~v[b]][:, v[b]] @ torch.linalg.inv(S[v[b]][:, v[b]])
        cov = S[~v[b]][:, ~v[b]] - gain @ S[v[b]][:, ~v[b]]
        torch.testing.assert_close(mean[b, ~v[b]], gain @ z[b, v[b]])
        torch.testing.assert_close(variance[b, ~v[b]], cov.diagonal())
        torch.testing.assert_close(full[b][~v[b]][:, ~v[b]], cov)
        assert (full[b][v[b]] == 0).all()
        assert torch.equal(mean[b, v[b]], z[b, v[b]])


def test_conditional_is_what_regression_on_many_samples_finds():
    """Normal equations on N rows; 5 standard errors over 36 numbers: false alarm below 1e-4."""
    batch, truth = synthetic(N, share=0.7, dtype=torch.float64, seed=2)
    x, y = stacked(batch.features, "ac"), batch.features["b"]
    coefficients = torch.linalg.lstsq(x, y).solution
    predicted = truth.conditional(missing.pattern(batch, ["a", "c"]))["b"]
    difference = x @ coefficients - predicted.mean
    # The fitted mean differs from the true one by variance * (number of regressors) / N on average.
    assert (difference.square().mean(0) < 5 * predicted.variance[0] * 8 / N).all()
    residual = (y - predicted.mean).square().mean(0)
    assert ((residual / predicted.variance[0] - 1).abs() < 5 * (2 / N) ** 0.5).all()


@pytest.mark.parametrize("keep", ["a", "bc", "abc"])
def test_output_moments_are_those_of_many_samples(keep):
    """5 standard errors of a Gaussian sample variance and mean: false alarm below 1e-5."""
    batch, truth = synthetic(N, noise=0.5, dtype=torch.float64, seed=3)
    out = truth.output(missing.pattern(batch, list(keep)))
    e = batch.target - out.mean.squeeze(1)
    variance = out.variance[0].item()
    assert abs(e.mean().item()) < 5 * (variance / N) ** 0.5
    assert abs(e.square().mean().item() / variance - 1) < 5 * (2 / N) ** 0.5
    assert torch.allclose(out.noise, torch.tensor(0.25).double())
    if keep == "abc":
        assert (out.missing == 0).all()


def test_output_is_the_weighted_sum_of_the_conditional():
    batch, truth = synthetic(30, heteroscedastic=0.8, dtype=torch.float64, seed=4)
    hidden = missing.mcar(batch, 0.5, 1, modalities=["a", "b", "c"])
    W = torch.cat(list(truth.weights.values()))
    mean = torch.cat([m.mean for m in truth.conditional(hidden).values()], 1) @ W
    variance = torch.einsum("dc,bde,ec->bc", W, truth.covariance(hidden), W)
    out = truth.output(hidden)
    torch.testing.assert_close(out.mean, mean)
    torch.testing.assert_close(out.missing, variance)


def test_signal_and_entries_have_variance_one():
    """5 standard errors: false alarm below 1e-4 over 13 numbers."""
    batch, _ = synthetic(N, noise=0.0, share=0.3, dtype=torch.float64, seed=5)
    for x in (*batch.features.values(), batch.target.unsqueeze(1)):
        assert ((x.square().mean(0) - 1).abs() < 5 * (2 / N) ** 0.5).all()


def test_without_a_share_nothing_can_be_reconstructed():
    batch, truth = synthetic(20, share=0.0, seed=6)
    moments = truth.conditional(missing.pattern(batch, ["a", "b"]))["c"]
    assert (moments.mean == 0).all()
    assert torch.allclose(moments.variance, torch.ones(20, 4))


def test_the_more_is_shared_the_better_it_is_reconstructed():
    variances = []
    for share in (0.0, 0.3, 0.6, 0.9, 0.99):
        batch, truth = synthetic(5, share=share, seed=7)
        moments = truth.conditional(missing.pattern(batch, ["a", "b"]))["c"]
        variances.append(moments.variance.mean().item())
    assert variances == sorted(variances, reverse=True)
    assert variances[-1] < 0.05


def test_heteroscedastic_variance_is_right_row_by_row():
    """Standardised errors have variance 1 in every tercile of the predicted variance.

    5 standard errors over N/3 rows: false alarm below 1e-5.
    """
    batch, truth = synthetic(N, heteroscedastic=1.0, share=0.5, dtype=torch.float64, seed=8)
    hidden = missing.pattern(batch, ["a", "context"])
    mean, variance = truth.conditional(hidden)["b"]
    assert variance[:, 0].std() > 0.2  # the same mask, different uncertainty
    standard = (batch.features["b"] - mean).square() / variance
    for rows in variance[:, 0].argsort().tensor_split(3):
        assert ((standard[rows].mean(0) - 1).abs() < 5 * (2 / len(rows)) ** 0.5).all()


def test_tau_squared_has_mean_one():
    """By Gauss-Hermite quadrature, which is exact here but for rounding."""
    import numpy as np

    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    t = torch.from_numpy(nodes).unsqueeze(1)
    mean = (torch.from_numpy(weights) * tau_squared(t, 0.9).squeeze(1)).sum() / (2 * np.pi) ** 0.5
    assert mean.item() == pytest.approx(1.0, abs=1e-12)


def test_context_must_be_visible_where_the_spread_depends_on_it():
    batch, truth = synthetic(5, heteroscedastic=0.5)
    with pytest.raises(ValueError, match=r"'context' is missing in rows 0, 1, 2, 3, 4 \(5 of 5\)"):
        truth.conditional(missing.pattern(batch, ["a"]))


def test_classes_are_the_largest_of_the_noisy_scores():
    batch, truth = synthetic(2000, task="classification", num_classes=4, noise=0.0, seed=9)
    assert batch.class_names == ("0", "1", "2", "3")
    assert torch.equal(truth.output(batch).mean.argmax(1), batch.target)
    noisy, noisy_truth = synthetic(2000, task="classification", num_classes=4, noise=1.0, seed=9)
    agreement = (noisy_truth.output(noisy).mean.argmax(1) == noisy.target).double().mean()
    assert 0.4 < agreement < 0.9


def test_seeds_and_dtypes():
    one, again, other = (synthetic(9, seed=seed)[0] for seed in (0, 0, 1))
    assert torch.equal(one.features["a"], again.features["a"])
    assert not torch.equal(one.features["a"], other.features["a"])
    assert one.features["a"].dtype == one.target.dtype == torch.float32
    double, truth = synthetic(9, seed=0, dtype=torch.float64)
    torch.testing.assert_close(one.features["a"].double(), double.features["a"])
    assert truth.conditional(double)["a"].mean.dtype == torch.float64
    before = torch.random.get_rng_state()
    synthetic(9)
    assert torch.equal(before, torch.random.get_rng_state())


def test_sizes_can_be_chosen():
    batch, truth = synthetic(6, sizes={"x": 1, "w": 7}, num_factors=2)
    assert [x.shape[1] for x in batch.features.values()] == [1, 7]
    assert truth.loadings["w"].shape == (7, 2)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"task": "ranking"}, "'regression' or 'classification'; got 'ranking'"),
        ({"share": 1.0}, r"`share` must lie in \[0, 1\)"),
        ({"noise": -1.0}, "must not be negative"),
        ({"heteroscedastic": -0.1}, "must not be negative"),
        ({"sizes": {}}, "at least one entry"),
        ({"sizes": {"context": 2}}, "none called 'context'"),
        ({"num_rows": 0}, "at least 1"),
        ({"task": "classification", "num_classes": 1}, "`num_classes` at least 2"),
    ],
)
def test_settings_out_of_range(settings, text):
    with pytest.raises(ValueError, match=text):
        synthetic(**settings)


def test_the_wrong_batch():
    _, truth = synthetic(5)
    other, _ = synthetic(5, sizes={"x": 2})
    with pytest.raises(ValueError, match=r"\['a', 'b', 'c'\], which the data does not have"):
        truth.output(other)
