import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sure_pyro.propagation.estimates import estimate
from sure_pyro.propagation.power_sums import PowerSums, Variable


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
        found = estimate(chunked(*sizes).f)
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
    torch.testing.assert_close(estimate(sums.f).variance, F.var(0), rtol=0.1, atol=0)
    halves = torch.stack([F[:50].mean(0), F[50:].mean(0)])
    torch.testing.assert_close(estimate(sums.f).mean_error, halves.std(0) / 2**0.5)


KEYS = st.tuples(st.integers(0, 2), st.integers(0, 2))
TERMS = st.dictionaries(KEYS, st.floats(-3, 3), min_size=1, max_size=4)


@settings(max_examples=50, deadline=None)
@given(TERMS, TERMS)
def test_arithmetic_of_variables_is_that_of_every_draw(p, q):
    sums = chunked(30, 70, control=X)
    d = F - sums.pivot
    P, Q = (sum(u * d**a * X**b for (a, b), u in terms.items()) for terms in (p, q))
    p, q = Variable(p, sums), Variable(q, sums)
    same = {"rtol": 1e-9, "atol": 1e-9}
    torch.testing.assert_close((p + q).average(), (P + Q).mean(0), **same)
    torch.testing.assert_close((p - q).average(), (P - Q).mean(0), **same)
    torch.testing.assert_close((p * q).average(), (P * Q).mean(0), **same)
    torch.testing.assert_close((p**2).average(), (P**2).mean(0), **same)
    torch.testing.assert_close((p * -2.0).average(), -2 * P.mean(0), **same)
    torch.testing.assert_close((p - F.mean(0)).average(), (P - F.mean(0)).mean(0), **same)


def test_an_average_is_over_the_draws_and_coefficients_may_be_tensors():
    sums = chunked(30, 70, control=X)
    torch.testing.assert_close(sums.f.average(), F.mean(0))
    torch.testing.assert_close(((sums.f - F.mean(0)) ** 2).average(), F.var(0, correction=0))
    torch.testing.assert_close((sums.f * sums.x).average(), (F * X).mean(0))
