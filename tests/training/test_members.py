import pytest
import torch

from sure_pyro.guides import EnsembleGuide, SWAGGuide
from sure_pyro.models import hide
from sure_pyro.objectives import preset
from sure_pyro.training.members import (
    MemberHeadStep,
    MemberReconstructionStep,
    Stack,
    bayesian_bootstrap,
    fresh_parts,
    weighted,
)
from sure_pyro.training.steps import HeadStep, ReconstructionStep
from tests.training.test_fitting import fingerprint, fit, make


@pytest.fixture
def problem():
    model, train, _ = make()
    model.initialize(train).eval()
    torch.manual_seed(2)
    others = list(fresh_parts(model, 3))
    latents = model.encode(train)
    return model, others, latents, hide(latents, torch.Generator().manual_seed(0))


def with_reconstructor(model, reconstructor):
    model.reconstructor = reconstructor
    return model


def test_loss_and_gradients_are_those_of_the_members_one_by_one(problem):
    """The vectorised pass is the mean over the members, to rounding."""
    model, others, latents, visible = problem
    stack = Stack(others)
    objective = preset("elbo")
    loss = MemberReconstructionStep(model, *objective, stack).eval()(latents, visible)
    loss.backward()
    single = []
    for k, reconstructor in enumerate(others):
        step = ReconstructionStep(with_reconstructor(model, reconstructor), *objective).eval()
        one = step(latents, visible)
        one.backward()
        single.append(one.detach())
        for name, w in zip(stack.names, stack.values, strict=True):
            g = dict(reconstructor.named_parameters())[name].grad
            if g is not None:
                torch.testing.assert_close(3 * w.grad[k], g, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(loss.detach(), torch.stack(single).mean())


def test_heads_see_the_reconstructions_of_their_own_member(problem):
    model, others, latents, visible = problem
    heads = Stack([model.head] * 3)
    with torch.no_grad():
        for w in heads.values:
            w.add_(0.1 * torch.randn_like(w))
    objective = preset("elbo")
    loss = MemberHeadStep(model, *objective, heads, Stack(others))(latents, visible)
    single = []
    for k, reconstructor in enumerate(others):
        with_reconstructor(model, reconstructor.eval())
        model.head.load_state_dict({n: w[k] for n, w in heads.weights().items()}, strict=False)
        single.append(HeadStep(model, *objective)(latents, visible).detach())
    torch.testing.assert_close(loss.detach(), torch.stack(single).mean(), rtol=1e-4, atol=1e-5)


def test_row_weights_of_a_member_count_its_rows(problem):
    """A member that sees one half of the rows only has the loss of that half."""
    model, others, latents, visible = problem
    counts = torch.full((80, 1), 1e-9)  # Pyro wants scales above zero
    counts[:40] = 2.0
    step = MemberHeadStep(model, *preset("elbo"), Stack([model.head]), Stack(others[:1]))
    loss = step(weighted(latents, counts), visible)
    half = {name: v[:40] for name, v in visible.items()}
    torch.testing.assert_close(loss, step(latents[:40], half))
    rows = torch.tensor([3, 50])
    assert torch.equal(weighted(latents, counts)[rows].counts, counts[rows])


def test_bootstrap_weights_have_mean_one_and_the_variance_of_exponentials(double):
    """Of 20 000 rows: 5 standard errors of a variance of 1 and kurtosis 9."""
    w = bayesian_bootstrap(20_000, 2, torch.zeros(()))
    torch.testing.assert_close(w.mean(0), torch.ones(2))
    assert ((w.var(0) - 1).abs() < 5 * (8 / 20_000) ** 0.5).all()


def test_the_fitted_model_is_the_first_member_and_the_others_differ():
    model, train, validation = make()
    fit(model, train, validation, epochs=2, guide=EnsembleGuide(members=3))
    first, second, third = model.weights.draws(3, 0)
    for name, w in first.items():
        assert torch.equal(w, model.get_parameter(name))
    for name in ("head.mean.weight", "reconstructor.absent"):
        assert not torch.equal(first[name], second[name])
        assert not torch.equal(second[name], third[name])
    complete = model.predict(train).variance["weights"][train.available.all(-1)]
    assert (complete > 0).all()


@pytest.mark.parametrize("over", [("head",), ("reconstructor",)])
def test_an_ensemble_over_one_part(over):
    model, train, validation = make()
    history = fit(model, train, validation, epochs=1, guide=EnsembleGuide(over, members=2))
    assert f"{over[0]}/ensemble" in history.best
    assert {name.partition(".")[0] for name in model.weights.sample(0)} == set(over)


def test_swag_leaves_the_fitted_weights_where_they_are():
    model, train, validation = make()
    plain, *_ = make()
    fit(plain, train, validation, epochs=2)
    fit(model, train, validation, epochs=2, guide=SWAGGuide())
    assert fingerprint(model.reconstructor) == fingerprint(plain.reconstructor)
    assert fingerprint(model.head) == fingerprint(plain.head)
    assert (model.predict(train).variance["weights"] > 0).all()
