import pytest
import torch

from sure_pyro.propagation import Moments, sampling, taylor
from sure_pyro.propagation.more import to_probability


def randn(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


W = randn(4, 3)
MEAN, VARIANCE = randn(6, 4, seed=1), randn(6, 4, seed=2).square() / 10


def logits(z):
    return z @ W


def test_delta_is_taylor_through_the_link():
    y = taylor(logits, MEAN, VARIANCE, output_covariance=True)
    p = to_probability(y, method="delta")
    direct = taylor(lambda z: logits(z).softmax(-1), MEAN, VARIANCE, output_covariance=True)
    torch.testing.assert_close(p.mean, direct.mean)
    torch.testing.assert_close(p.sources["input"], direct.sources["input"])
    torch.testing.assert_close(p.covariance, direct.covariance)
    labels = to_probability(taylor(logits, MEAN, VARIANCE), link="sigmoid", method="delta")
    direct = taylor(lambda z: logits(z).sigmoid(), MEAN, VARIANCE)
    torch.testing.assert_close(labels.variance, direct.variance)


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_probit_beats_delta_where_logits_are_wide(scale):
    fn = lambda z: scale * logits(z)  # noqa: E731
    wide = 10 * VARIANCE
    y = taylor(fn, MEAN, wide, output_covariance=True)  # exact: the logits are affine
    truth = sampling(lambda z: fn(z).softmax(-1), MEAN, wide, num_samples=20_000)
    probit, delta = (to_probability(y, method=method) for method in ("probit", "delta"))
    torch.testing.assert_close(probit.mean.sum(-1), torch.ones(6).double())
    for value in ("mean", "variance"):
        error, plain = ((getattr(p, value) - getattr(truth, value)).abs() for p in (probit, delta))
        assert float(error.mean()) < float(plain.mean()) / 2
    assert (probit.variance <= probit.mean * (1 - probit.mean)).all()


def test_a_softmax_of_two_is_a_sigmoid():
    m, S = randn(5, 2), randn(5, 2, 2, seed=3)
    S = S @ S.mT
    both = Moments(m, {"z": S.diagonal(dim1=-2, dim2=-1)}, {"z": S})
    odds = Moments(m[:, :1] - m[:, 1:], {"z": (S[:, 0, 0] + S[:, 1, 1] - 2 * S[:, 0, 1])[:, None]})
    softmax, sigmoid = to_probability(both), to_probability(odds, link="sigmoid")
    torch.testing.assert_close(softmax.mean[:, :1], sigmoid.mean)
    torch.testing.assert_close(softmax.variance[:, :1], sigmoid.variance)


def test_sources_share_the_total_and_zero_stays_zero():
    mean, variance = {"a": MEAN, "b": MEAN[:, :3]}, {"a": VARIANCE, "b": VARIANCE[:, :3]}
    fn = lambda z: logits(z["a"]) + z["b"]  # noqa: E731
    y = taylor(fn, mean, variance, output_covariance=True)
    p = to_probability(y)
    torch.testing.assert_close(p.share["a"] + p.share["b"], torch.ones(6, 3).double())
    zero = {name: 0 * s2 for name, s2 in variance.items()}
    certain = to_probability(taylor(fn, mean, zero, output_covariance=True))
    torch.testing.assert_close(certain.mean, fn(mean).softmax(-1))
    assert (certain.variance < 1e-12).all()


def test_errors():
    y = taylor(logits, MEAN, VARIANCE)
    with pytest.raises(ValueError, match="needs the covariance of the logits"):
        to_probability(y)
    with pytest.raises(Exception, match="link"):
        to_probability(y, link="probit")
