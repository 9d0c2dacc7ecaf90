"""What each step trains and what it leaves, and what its loss is."""

import pytest
import torch

from sure_pyro.models import Output, hide
from sure_pyro.objectives import CorrelationELBO, Unchanged, preset
from sure_pyro.training.steps import (
    AmortisedStep,
    HeadStep,
    JointStep,
    LocationStep,
    ReconstructionStep,
    ScaleStep,
    head_output,
    squared_errors,
    with_propagated,
)
from tests.training.conftest import fingerprint, rows, small_model

SEPARATE = (LocationStep, ScaleStep)
TRAINED = {
    ReconstructionStep: {"reconstructor"},
    LocationStep: {"reconstructor.location"},
    ScaleStep: {"reconstructor.spread"},
    HeadStep: {"head"},
    JointStep: {"reconstructor", "head"},
    AmortisedStep: {"reconstructor", "head"},
}
PARTS = ("backbone", "reconstructor.location", "reconstructor.spread", "reconstructor", "head")


def problem(separate=False, **options):
    """A model that was built and not trained, its training rows, and what is visible of them."""
    train = rows(**options)
    model = small_model(train, separate_scale=separate)
    latents = model.initialize(train).encode(train)
    return model, latents, hide(latents, torch.Generator().manual_seed(0))


def prints(model, kind):
    names = [n for n in PARTS if kind in SEPARATE or not n.startswith("reconstructor.")]
    return {name: fingerprint(model.get_submodule(name)) for name in names}


@pytest.mark.parametrize("kind", TRAINED)
def test_a_step_changes_its_own_part_and_no_other(kind):
    model, latents, visible = problem(separate=kind in SEPARATE)
    step = kind(model, *preset("elbo+pcc"))
    before = prints(model, kind)
    optimizer = torch.optim.SGD(step.parameters_to_train(), lr=0.1)
    step.train()(latents, visible).backward()
    optimizer.step()
    changed = {name for name, now in prints(model, kind).items() if now != before[name]}
    whole = {"reconstructor"} if kind in SEPARATE else set()  # it holds the half that changed
    assert changed == TRAINED[kind] | whole


@pytest.mark.parametrize("kind", TRAINED)
def test_what_it_trains_gets_a_gradient_and_is_what_a_checkpoint_holds(kind):
    model, latents, visible = problem(separate=kind in SEPARATE)
    step = kind(model, *preset("elbo"))
    step(latents, visible).backward()
    trained = list(step.parameters_to_train())
    assert any(p.grad is not None and bool((p.grad != 0).any()) for p in trained)
    held = {id(p) for part in step.trainable() for p in part.parameters()}
    assert {id(p) for p in trained} <= held
    assert {id(p) for p in (*model.reconstructor.parameters(), *model.head.parameters())} <= held


@pytest.mark.parametrize("kind", [HeadStep, LocationStep])
def test_nothing_else_gets_a_gradient(kind):
    """The head's loss reaches no reconstructor, and that of the locations no scale."""
    model, latents, visible = problem(separate=kind in SEPARATE)
    step = kind(model, *preset("elbo+pcc"))
    step(latents, visible).backward()
    trained = {id(p) for p in step.parameters_to_train()}
    others = [p for p in model.parameters() if id(p) not in trained]
    assert others
    assert all(p.grad is None for p in others)


def test_the_joint_step_reaches_the_reconstructor_through_the_fusion():
    """Nothing is scored but the target, and still the reconstructor gets a gradient."""
    model, latents, visible = problem()
    blank = {name: torch.zeros_like(a) for name, a in latents.available.items()}
    unseen = type(latents)(latents.values, blank, latents.padding, latents.target)
    JointStep(model, *preset("elbo"))(unseen, blank).backward()
    gradients = [p.grad for p in model.reconstructor.parameters() if p.grad is not None]
    assert max(g.abs().max() for g in gradients) > 0


# -- what is scored -------------------------------------------------------------------------------


def test_reconstruction_is_scored_by_the_likelihood_of_what_was_hidden():
    """Equation 6 without a correlation: minus the log-likelihood per hidden number."""
    model, latents, visible = problem()
    step = ReconstructionStep(model, CorrelationELBO(0.0), Unchanged).eval()
    loss = step(latents, visible)
    total, numbers = 0.0, 0
    for name, pair in model.reconstruct(latents, visible).items():
        hidden = (latents.available[name] & ~visible[name]).unsqueeze(-1)
        log_prob = torch.distributions.Normal(*pair).log_prob(latents.values[name])
        total = total + (log_prob * hidden).sum()
        numbers += int(hidden.expand_as(log_prob).sum())
    torch.testing.assert_close(loss, -total / numbers)
    torch.testing.assert_close(step.terms["elbo"], total / numbers)


def test_locations_are_scored_by_squared_error_whatever_the_objective():
    """Half the mean squared error of the hidden numbers, up to the constant of a Normal."""
    model, latents, visible = problem(separate=True)
    step = LocationStep(model, *preset("laplace+spearman")).eval()
    loss = step(latents, visible)
    squares = []
    for name, (loc, _) in model.reconstructor.location(latents.values, visible).items():
        hidden = latents.available[name] & ~visible[name]
        squares.append((latents.values[name] - loc)[hidden].square().reshape(-1))
    half = torch.cat(squares).mean() / 2
    torch.testing.assert_close(loss, half + 0.5 * torch.log(torch.tensor(2 * torch.pi)))
    assert set(step.terms) == {f"mse/z_{name}" for name in latents.modalities}


def test_the_head_is_scored_under_the_total_variance():
    """Equation 8: the loss is the likelihood under head plus reconstruction variance."""
    model, latents, visible = problem(task="regression")
    step = HeadStep(model, CorrelationELBO(0.0), Unchanged).eval()
    loss = step(latents, visible)
    moments = model.taylor(latents, visible, model.reconstruct(latents, visible))
    normal = torch.distributions.Normal(moments.mean, moments.variance.sqrt())
    log_prob = normal.log_prob(model.head.observed(latents.target))
    torch.testing.assert_close(loss, -log_prob.mean())
    alone = HeadStep(model, CorrelationELBO(0.0), Unchanged, total_variance=False).eval()
    normal = torch.distributions.Normal(moments.mean, moments.sources["head"].sqrt())
    log_prob = normal.log_prob(model.head.observed(latents.target))
    torch.testing.assert_close(alone(latents, visible), -log_prob.mean())


def test_the_propagated_variance_is_a_constant_of_the_loss():
    model, latents, visible = problem()
    r = model.reconstruct(latents, visible)
    zero = torch.zeros(len(latents), 3, requires_grad=True)
    added = with_propagated(model, Output(zero, zero), latents, visible, r)
    expected = model.taylor(latents, visible, r).without_source("head").variance
    assert torch.equal(added.variance, expected)
    added.variance.sum().backward()
    assert torch.equal(zero.grad, torch.ones_like(zero))
    assert all(p.grad is None for p in model.reconstructor.parameters())


def test_the_output_of_the_head_is_that_of_the_model():
    model, latents, visible = problem()
    model.eval()
    ours = head_output(model, latents, visible, total_variance=False)
    entering = model.fusion_input(latents, visible, model.reconstruct(latents, visible))
    expected = model.respond(entering.mean, entering.exists)
    assert torch.equal(ours.mean, expected.mean)
    assert torch.equal(ours.variance, expected.variance)


def test_squared_errors_are_means_over_what_was_hidden():
    model, latents, visible = problem()
    r = model.reconstruct(latents, visible)
    for name, (loc, _) in r.items():
        hidden = latents.available[name] & ~visible[name]
        expected = (latents.values[name] - loc).square().mean(-1)[hidden].mean()
        torch.testing.assert_close(squared_errors(latents, visible, r)[f"mse/z_{name}"], expected)
    nothing_hidden = squared_errors(latents, latents.available, r)
    assert set(nothing_hidden) == {f"mse/z_{name}" for name in r}
    assert all(e == 0 for e in nothing_hidden.values())


# -- what the best epoch is chosen by -------------------------------------------------------------


@pytest.mark.parametrize("name", ["elbo+pcc", "sure"])
def test_selection_is_by_the_score_where_that_sees_the_variance(name):
    model, latents, visible = problem()
    step = ReconstructionStep(model, *preset(name)).eval()
    loss = step(latents, visible)
    expected = loss if name == "sure" else -step.terms["elbo"]
    assert step.selection_loss(loss) == expected
    assert loss != -step.terms["elbo"]  # else the test could not tell


@pytest.mark.parametrize("kind", [ReconstructionStep, HeadStep, JointStep, AmortisedStep])
def test_validation_is_the_same_every_time(kind):
    """Nothing that counts is drawn anew, so that epochs are compared on equal terms."""
    model, latents, visible = problem()
    step = kind(model, *preset("elbo")).eval()
    first = step(latents, visible)
    torch.manual_seed(5)
    assert torch.equal(step(latents, visible), first)


def test_validation_of_the_amortised_step_leaves_the_generator_alone():
    model, latents, visible = problem()
    step = AmortisedStep(model, *preset("elbo")).eval()
    state = torch.get_rng_state()
    step(latents, visible)
    assert torch.equal(torch.get_rng_state(), state)
    step.train()(latents, visible)
    assert not torch.equal(torch.get_rng_state(), state)


def test_a_new_step_starts_with_an_empty_memory():
    model, latents, visible = problem()
    elbo = CorrelationELBO(0.5, memory=10)
    ReconstructionStep(model, elbo, Unchanged)(latents, visible)
    assert elbo.memory.state()
    HeadStep(model, elbo, Unchanged)
    assert not elbo.memory.state()
