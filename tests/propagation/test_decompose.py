import torch

from sure_pyro.propagation import sampling

# Tolerances: 4.5 standard errors, a false alarm in 7e-6 of the comparisons; seeds are fixed.
SIGMAS = 4.5


def agree(value, expected, error):
    assert ((value - expected).abs() <= SIGMAS * error + 1e-12).all()


def product(z):
    return z["a"] * z["b"]


PRODUCT_MEAN = {"a": torch.full((4, 1), 2.0), "b": torch.full((4, 1), 3.0)}
PRODUCT_VARIANCE = {
    "a": torch.tensor([[0.5], [0.5], [0.0], [0.0]]),
    "b": torch.tensor([[0.25], [0.0], [0.25], [0.0]]),
}


def test_product_splits_into_sources_and_interaction():
    # Var[ab] = b^2 s_a + a^2 s_b + s_a s_b
    y = sampling(product, PRODUCT_MEAN, PRODUCT_VARIANCE, num_samples=50_000)
    agree(y.sources["a"], 9 * PRODUCT_VARIANCE["a"], y.errors["a"])
    agree(y.sources["b"], 4 * PRODUCT_VARIANCE["b"], y.errors["b"])
    together = PRODUCT_VARIANCE["a"] * PRODUCT_VARIANCE["b"]
    agree(y.sources["interaction"], together, y.errors["interaction"])
    assert (y.sources["interaction"][1:] == 0).all()  # nothing to interact with
    assert (y.variance[3] == 0).all()
    joint = sampling(product, PRODUCT_MEAN, PRODUCT_VARIANCE, num_samples=50_000, by_source=False)
    assert list(joint.sources) == ["joint"]
    torch.testing.assert_close(joint.variance, y.variance)


def test_single_sources_cost_nothing_extra():
    rows = []

    def fn(z):
        rows.append(len(z["a"]))
        return product(z)

    sampling(fn, PRODUCT_MEAN, PRODUCT_VARIANCE, num_samples=10, check_rows=False)
    # the certain row once, 3 uncertain rows together, the first of them twice more alone
    assert rows == [1, 30, 10, 10]


def test_covariances_are_split_like_variances():
    fn = lambda z: (torch.cat([z["a"], z["a"] * z["b"]], -1), torch.ones(len(z["a"]), 2))  # noqa: E731
    y = sampling(fn, PRODUCT_MEAN, PRODUCT_VARIANCE, num_samples=4000, output_covariance=True)
    for name, s2 in y.sources.items():
        torch.testing.assert_close(y.covariances[name].diagonal(dim1=-2, dim2=-1), s2)
    # Cov[a, a b] = b Var[a], all of it made by a
    exact = 3 * PRODUCT_VARIANCE["a"][:, 0]
    torch.testing.assert_close(y.covariances["a"][:, 0, 1], exact, rtol=0.1, atol=1e-6)
