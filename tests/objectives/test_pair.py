import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine

from sure_pyro.objectives import CorrelationELBO, pearson, uncertainty_error_pair
from sure_pyro.objectives.pair import observed_sites, scored_numbers

pytestmark = pytest.mark.usefixtures("double")


@pytest.fixture
def numbers():
    """Rows 12, tokens 3, entries 2; and a mask over rows and tokens."""
    scale, y = torch.rand(12, 3, 2) + 0.1, torch.randn(12, 3, 2)
    return scale, y, torch.rand(12, 3) < 0.7


def program(scale, y, mask):
    rows, tokens = pyro.plate("rows", 12, dim=-2), pyro.plate("tokens", 3, dim=-1)
    with rows, tokens, poutine.mask(mask=mask):
        pyro.sample("z", dist.Normal(0.0, scale).to_event(1), obs=y)


def no_guide(*args):
    pass


def pair(numbers, **options):
    return uncertainty_error_pair(poutine.trace(program).get_trace(*numbers), "z", True, **options)


def test_by_default_variance_and_squared_error_per_row(numbers):
    scale, y, mask = numbers
    u, e, counts = pair(numbers)
    weight = mask / mask.sum(-1, keepdim=True).clamp(min=1)
    torch.testing.assert_close(u[0], (scale.square().mean(-1) * weight).sum(-1))
    torch.testing.assert_close(e[0], (y.square().mean(-1) * weight).sum(-1))
    assert torch.equal(counts[0], mask.any(-1))


@pytest.mark.parametrize("uncertainty", ["variance", "sd"])
@pytest.mark.parametrize("error", ["squared", "absolute"])
def test_variance_or_sd_with_squared_or_absolute_error(numbers, uncertainty, error):
    scale, y, mask = numbers
    u, e, _ = pair(numbers, uncertainty=uncertainty, error=error)
    u_entry = scale if uncertainty == "sd" else scale.square()
    e_entry = y.abs() if error == "absolute" else y.square()
    weight = mask / mask.sum(-1, keepdim=True).clamp(min=1)
    torch.testing.assert_close(u[0], (u_entry.mean(-1) * weight).sum(-1))
    torch.testing.assert_close(e[0], (e_entry.mean(-1) * weight).sum(-1))


def test_per_entry_is_one_group_of_all_entries(numbers):
    scale, y, mask = numbers
    u, e, counts = pair(numbers, per="entry")
    assert u.shape == e.shape == counts.shape == (1, 12 * 3 * 2)
    seen = mask.unsqueeze(-1).expand(12, 3, 2)
    torch.testing.assert_close(u[counts], scale.square()[seen])
    torch.testing.assert_close(e[counts], y.square()[seen])


def test_per_dimension_is_a_group_for_every_entry_of_a_row(numbers):
    scale, y, mask = numbers
    u, e, counts = pair(numbers, per="dimension")
    assert u.shape == e.shape == counts.shape == (6, 12)
    for k, (token, entry) in enumerate((t, d) for t in range(3) for d in range(2)):
        assert torch.equal(counts[k], mask[:, token])
        torch.testing.assert_close(u[k, counts[k]], scale[mask[:, token], token, entry] ** 2)
        torch.testing.assert_close(e[k, counts[k]], y[mask[:, token], token, entry] ** 2)


def test_the_objective_averages_the_correlations_of_the_groups(numbers):
    elbo = CorrelationELBO(weight=1.0, per="dimension")
    elbo.differentiable_loss(program, no_guide, *numbers)
    groups = zip(*pair(numbers, per="dimension"), strict=True)
    expected = torch.stack([pearson(*group) for group in groups]).mean()
    torch.testing.assert_close(elbo.terms["rho/z"], expected)


@pytest.mark.parametrize("per", ["row", "entry", "dimension"])
@pytest.mark.parametrize("statistic", ["pearson", "spearman", "kendall", "concordance"])
def test_every_pairing_goes_with_every_statistic_and_with_particles(numbers, per, statistic):
    scale, y, mask = numbers
    scale.requires_grad_()
    losses = []
    for options in ({}, {"num_particles": 2, "vectorize_particles": True, "max_plate_nesting": 2}):
        elbo = CorrelationELBO(1.0, statistic=statistic, per=per, uncertainty="sd", **options)
        losses.append(elbo.differentiable_loss(program, no_guide, scale, y, mask))
    torch.testing.assert_close(losses[0], losses[1])
    assert torch.autograd.grad(losses[0], scale)[0].isfinite().all()


@pytest.mark.parametrize("per", ["row", "entry", "dimension"])
def test_what_is_masked_has_no_effect(numbers, per):
    scale, y, mask = numbers
    expected = pair(numbers, per=per)
    scale, y = scale.clone(), y.clone()
    scale[~mask], y[~mask] = 1e30, float("inf")
    with pyro.validation_enabled(False):
        found = pair((scale, y, mask), per=per)
    for x, expected_x in zip(found, expected, strict=True):
        assert torch.equal(x, expected_x)


@pytest.mark.parametrize("per", ["entry", "dimension"])
def test_an_uncertainty_of_its_own_counts_for_every_entry(per):
    u, y = torch.rand(7), torch.randn(7, 3)

    def model():
        with pyro.plate("rows", 7):
            fn = dist.Normal(torch.zeros(3), 1.0).to_event(1)
            pyro.sample("y", fn, obs=y, infer={"uncertainty": u})

    trace = poutine.trace(model).get_trace()
    found, _, _ = uncertainty_error_pair(trace, "y", per=per, uncertainty="sd")
    expected = u.sqrt().unsqueeze(-1).expand(7, 3)
    torch.testing.assert_close(found, expected.T if per == "dimension" else expected.reshape(1, -1))


def test_an_error_of_zero_has_a_finite_gradient_as_absolute_error():
    loc = torch.zeros(5, requires_grad=True)

    def model():
        with pyro.plate("rows", 5):
            pyro.sample("y", dist.Normal(loc, torch.rand(5) + 0.1), obs=torch.arange(5.0))

    elbo = CorrelationELBO(weight=1.0, error="absolute", detach_error=False)
    (gradient,) = torch.autograd.grad(elbo.differentiable_loss(model, no_guide), loc)
    assert gradient.isfinite().all()


def test_a_site_without_plates_is_one_row():
    def model():
        pyro.sample("y", dist.Normal(torch.zeros(3), 1.0).to_event(1), obs=torch.ones(3))

    trace = poutine.trace(model).get_trace()
    shapes = {per: uncertainty_error_pair(trace, "y", per=per)[0].shape
              for per in ("row", "entry", "dimension")}  # fmt: skip
    assert shapes == {"row": (1, 1), "entry": (1, 3), "dimension": (3, 1)}


def test_the_binomial_errors_have_the_variance_on_average():
    n, p = torch.full((2000,), 20.0), torch.linspace(0.1, 0.9, 2000)
    k = dist.Binomial(n, p).sample()

    def model():
        with pyro.plate("rows", 2000):
            pyro.sample("k", dist.Binomial(n, p), obs=k)

    u, e, _ = uncertainty_error_pair(poutine.trace(model).get_trace(), "k")
    torch.testing.assert_close(u[0], n * p * (1 - p))
    torch.testing.assert_close(e[0], (k - n * p).square())
    assert abs(e.mean() - u.mean()) < 5 * e.std() / 2000**0.5  # by chance once in 10^6


COUNTS = {
    "Poisson": lambda rate: dist.Poisson(rate),
    "Binomial": lambda rate: dist.Binomial(20.0, rate / 20),
    "NegativeBinomial": lambda rate: dist.NegativeBinomial(rate, 0.5 + 0 * rate),
    "Gamma": lambda rate: dist.Gamma(rate, 2.0),
}


@pytest.mark.parametrize("kind", COUNTS)
@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_two_plates_an_event_masks_inside_and_outside_and_a_scale(kind, factor):
    fn = COUNTS[kind](1 + 9 * torch.rand(12, 3, 2))
    value, inner, outer = fn.sample(), torch.rand(12, 3, 2) < 0.7, torch.rand(12, 3) < 0.7

    def model():
        rows, tokens = pyro.plate("y_observed", 12, dim=-2), pyro.plate("tokens", 3, dim=-1)
        with rows, tokens, poutine.mask(mask=outer), poutine.scale(scale=factor):
            pyro.sample("y", fn.mask(inner).to_event(1), obs=value)

    trace = poutine.trace(model).get_trace()
    u, e, counts = uncertainty_error_pair(trace, "y")
    seen = inner & outer.unsqueeze(-1)
    weight = seen.flatten(1) / seen.flatten(1).sum(-1, keepdim=True).clamp(min=1)
    torch.testing.assert_close(u[0], (fn.variance.flatten(1) * weight).sum(-1))
    torch.testing.assert_close(e[0], ((value - fn.mean).square().flatten(1) * weight).sum(-1))
    assert torch.equal(counts[0], seen.flatten(1).any(-1))
    assert scored_numbers(trace) == pytest.approx(factor * seen.sum())


@pytest.mark.parametrize("kind", COUNTS)
def test_a_partly_observed_site_of_any_kind(kind):
    fn = COUNTS[kind](1 + 9 * torch.rand(30))
    value, seen = fn.sample(), torch.arange(30) % 3 > 0

    def model():
        with pyro.plate("rows", 30):
            pyro.sample("y", fn, obs=value, obs_mask=seen)

    trace = poutine.trace(model).get_trace()
    assert observed_sites(trace) == {"y": "y_observed"}
    u, e, counts = uncertainty_error_pair(trace, "y")
    assert torch.equal(counts[0], seen)
    torch.testing.assert_close(u[counts], fn.variance[seen])
    torch.testing.assert_close(e[counts], (value - fn.mean).square()[seen])
    assert scored_numbers(trace) == 20


def data(name, **options):
    with pyro.plate(f"rows of {name}", 5):
        pyro.sample(name, dist.Normal(torch.zeros(5), 1.0), obs=torch.ones(5), **options)


SUFFIXES = {
    "both are the author's": (
        lambda: (data("y"), data("y_observed")),
        {"y": "y", "y_observed": "y_observed"},
    ),
    "alone": (lambda: data("y_observed"), {"y_observed": "y_observed"}),
    "beside a deterministic one": (
        lambda: (pyro.deterministic("y", torch.zeros(5)), data("y_observed")),
        {"y_observed": "y_observed"},
    ),
    "beside an unobserved one": (
        lambda: (pyro.sample("y_unobserved", dist.Normal(0.0, 1.0)), data("y_observed")),
        {"y_observed": "y_observed"},
    ),
    "an observed one of that name": (
        lambda: data("y_unobserved"),
        {"y_unobserved": "y_unobserved"},
    ),
    "other suffixes": (
        lambda: (data("y_shared"), data("y_latent"), data("y_observed_observed")),
        {name: name for name in ("y_shared", "y_latent", "y_observed_observed")},
    ),
    "made by obs_mask": (
        lambda: data("y", obs_mask=torch.arange(5) > 1),
        {"y": "y_observed"},
    ),
    "made by obs_mask of such a name": (
        lambda: (data("y"), data("y_observed", obs_mask=torch.arange(5) > 1)),
        {"y": "y", "y_observed": "y_observed_observed"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", SUFFIXES)
def test_names_are_the_authors_whatever_they_end_on(kind):
    model, expected = SUFFIXES[kind]
    trace = poutine.trace(model).get_trace()
    assert observed_sites(trace) == expected
    for name in expected:
        assert uncertainty_error_pair(trace, name)[0].shape == (1, 5)


def test_what_is_no_data_is_no_site():
    def model():
        pyro.factor("penalty", torch.tensor(1.0))
        pyro.deterministic("doubled", torch.ones(3))
        with pyro.plate("rows", 10, subsample=torch.arange(4)):
            pyro.sample("y", dist.Poisson(torch.ones(4)), obs=torch.ones(4))

    trace = poutine.trace(model).get_trace()
    assert observed_sites(trace) == {"y": "y"}
    assert scored_numbers(trace) == 10


def test_a_sequential_plate_inside_a_vectorised_one():
    scale = torch.rand(2, 7) + 0.1

    def model():
        with pyro.plate("rows", 7):
            for t in pyro.plate("times", 2):
                pyro.sample(f"y_{t}", dist.Normal(0.0, scale[t]), obs=torch.ones(7))

    trace = poutine.trace(model).get_trace()
    for t in range(2):
        torch.testing.assert_close(uncertainty_error_pair(trace, f"y_{t}")[0][0], scale[t].square())


def test_another_name_is_refused():
    trace = poutine.trace(lambda: data("y")).get_trace()
    with pytest.raises(ValueError, match=r"`name` must be an observed site, of \['y'\]; got 'z'"):
        uncertainty_error_pair(trace, "z")


@pytest.mark.parametrize(
    ("argument", "choices"),
    [
        ("uncertainty", r"\('variance', 'sd'\)"),
        ("error", r"\('squared', 'absolute'\)"),
        ("per", r"\('row', 'entry', 'dimension'\)"),
    ],
)
def test_other_pairings_are_refused(argument, choices):
    with pytest.raises(ValueError, match=f"`{argument}` must be one of {choices}; got 'other'"):
        CorrelationELBO(**{argument: "other"})
