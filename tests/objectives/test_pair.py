import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine

from sure_pyro.objectives import CorrelationELBO, pearson, uncertainty_error_pair

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
