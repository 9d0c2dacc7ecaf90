import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sure_pyro.propagation.polynomial import expect, plus, scaled, times

KEYS = st.tuples(st.integers(0, 3), st.integers(0, 3))
POLYNOMIALS = st.dictionaries(KEYS, st.floats(-3, 3), min_size=1, max_size=4)


def at(p, d, x):
    return expect(p, lambda a, b: (d**a * x**b).mean(0))


@settings(max_examples=50, deadline=None)
@given(POLYNOMIALS, POLYNOMIALS)
def test_arithmetic_is_that_of_the_values(p, q):
    d, x = torch.tensor([[1.3], [-0.7]]).double().unbind()
    u, v = at(p, d[None], x[None]), at(q, d[None], x[None])
    torch.testing.assert_close(at(plus(p, q), d[None], x[None]), u + v)
    torch.testing.assert_close(at(scaled(p, -2.0), d[None], x[None]), -2 * u)
    torch.testing.assert_close(at(times(p, q), d[None], x[None]), u * v)


def test_an_average_is_over_the_draws_and_coefficients_may_be_tensors():
    d = torch.tensor([[1.0, 2.0], [3.0, 4.0]])  # two draws of two variables
    square_of_deviation = {(2, 0): 1.0, (1, 0): -2 * d.mean(0), (0, 0): d.mean(0) ** 2}
    average = expect(square_of_deviation, lambda a, b: (d**a).mean(0))
    torch.testing.assert_close(average, d.var(0, correction=0))
