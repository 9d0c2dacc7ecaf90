import torch

from sure_pyro.propagation.estimates import estimate
from sure_pyro.propagation.power_sums import PowerSums


def randn(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


F, X = randn(100, 2, 3).exp() + 50, randn(100, 2, 3, seed=1)


def chunked(*sizes, control=None):
    sums = PowerSums()
    parts = F.split(sizes)
    controls = [None] * len(parts) if control is None else control.split(sizes)
    for f, x in zip(parts, controls, strict=True):
        sums.update(f, x)
    return sums


def test_averages_are_those_of_all_draws():
    sums = chunked(30, 1, 69, control=X)
    d = F - sums.pivot
    for a, b in [(1, 0), (4, 0), (0, 3), (2, 2), (1, 2)]:
        torch.testing.assert_close(sums.average(a, b), (d**a * X**b).mean(0))
    assert sums.n == 100


def test_plain_estimates_are_the_usual_ones_whatever_the_chunks():
    for sizes in [(100,), (1,) * 100, (60, 40)]:
        found = estimate(chunked(*sizes))
        torch.testing.assert_close(found.mean, F.mean(0))
        torch.testing.assert_close(found.variance, F.var(0))
        torch.testing.assert_close(found.mean_error, F.std(0) / 10)
        fourth = (F - F.mean(0)).pow(4).mean(0)
        s2 = F.var(0, correction=0)
        torch.testing.assert_close(found.variance_error, ((fourth - s2**2) / 99).sqrt())
        assert found.explained is None


def test_single_precision_is_summed_in_double():
    sums = PowerSums()
    sums.update(F.float() * 1e12)
    assert sums.average(4, 0).isfinite().all()  # beyond the range of single precision


def test_replicates_are_kept_apart():
    sums = PowerSums(replicates=2)
    sums.update(F[:50], replicate=0)
    sums.update(F[50:], replicate=1)
    torch.testing.assert_close(estimate(sums).variance, F.var(0), rtol=0.1, atol=0)
    halves = torch.stack([F[:50].mean(0), F[50:].mean(0)])
    torch.testing.assert_close(estimate(sums).mean_error, halves.std(0) / 2**0.5)
