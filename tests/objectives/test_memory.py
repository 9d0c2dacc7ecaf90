import pyro
import pyro.distributions as dist
import pytest
import torch

from sure_pyro.objectives import CorrelationELBO, pearson
from sure_pyro.objectives.memory import PairMemory

pytestmark = pytest.mark.usefixtures("double")


def no_guide(*args):
    pass


def model(scale, y):
    with pyro.plate("rows", len(y)):
        pyro.sample("y", dist.Normal(0.0, scale), obs=y)


def batch(B=8, **options):
    """Variances, and errors that correlate with them."""
    scale = 0.2 + torch.rand(B)
    return scale, scale * torch.randn(B)


def everything(u):
    return torch.ones_like(u, dtype=torch.bool)


def test_without_a_past_it_changes_nothing():
    u, e = torch.rand(2, 1, 5)
    found = PairMemory(10).extended("y", u, e, everything(u))
    for x, y in zip(found, (u, e, everything(u)), strict=True):
        assert torch.equal(x, y)


def test_holds_the_latest_pairs_that_count():
    memory = PairMemory(5)
    batches = [torch.arange(4.0).reshape(1, 4) + 10 * i for i in range(3)]
    mask = torch.tensor([[True, False, True, True]])
    for u in batches:
        memory.extended("y", u, 2 * u, mask)
    u, e, seen = memory.pairs["y"]
    assert torch.equal(u, torch.tensor([[20.0, 22.0, 23.0, 10.0, 12.0]]))
    assert torch.equal(e, 2 * u)
    assert seen.all()


def test_value_is_the_correlation_of_this_batch_and_the_past():
    elbo = CorrelationELBO(weight=1.0, memory=100)
    batches = [batch() for _ in range(3)]
    for scale, y in batches:
        elbo.differentiable_loss(model, no_guide, scale, y)
    expected = pearson(
        torch.cat([s.square() for s, _ in batches]), torch.cat([y.square() for _, y in batches])
    )
    torch.testing.assert_close(elbo.terms["rho/y"], expected)


def test_gradient_is_this_batchs_share_taken_for_the_whole():
    elbo = CorrelationELBO(weight=1.0, memory=100)
    past, (scale, y) = batch(24), batch(8)
    elbo.differentiable_loss(model, no_guide, *past)
    scale.requires_grad_()
    loss = elbo.differentiable_loss(model, no_guide, scale, y) + elbo.terms["elbo"]
    nll = -dist.Normal(0.0, scale).log_prob(y).mean()
    (gradient,) = torch.autograd.grad(loss - nll, scale)
    u = torch.cat([scale.square(), past[0].square()])
    rho = pearson(u, torch.cat([y.square(), past[1].square()]))
    torch.testing.assert_close(gradient, -4 * torch.autograd.grad(rho, scale)[0])


def test_shares_over_one_epoch_add_up_to_the_gradient_of_all_rows():
    """With parameters that stand still, the mean over batches is the full gradient."""
    x, noise = torch.rand(64), torch.randn(64)
    theta = torch.tensor(0.3, requires_grad=True)

    def pairs(rows):
        scale = 0.2 + (theta * x[rows]).exp() * x[rows]
        return scale.square(), (x[rows] * noise[rows]).square()

    (expected,) = torch.autograd.grad(pearson(*pairs(slice(None))), theta)
    memory = PairMemory(56)  # the other seven batches
    total = 0.0
    for epoch in range(2):
        for rows in torch.arange(64).split(8):
            u, e = (v.unsqueeze(0) for v in pairs(rows))
            found = memory.extended("y", u, e, everything(u))
            rho = pearson(*(v[0] for v in found))
            total = total + (torch.autograd.grad(rho, theta)[0] / 8 if epoch == 1 else 0.0)
    torch.testing.assert_close(total, expected)


def test_noise_of_few_rows_is_that_of_many():
    """At rho = 0, sd = 1 / sqrt(n - 1): 0.38 at 8 rows, 0.06 at 8 + 256.

    120 draws give the sd to 6.5 %, so 35 % is missed by chance once in more than 10^6 tests; draws
    with a memory repeat past rows, so they are taken from 120 memories.
    """
    noise = {}
    for size in (0, 256):
        found = []
        for _ in range(120):
            elbo = CorrelationELBO(weight=1.0, memory=size)
            if size:
                elbo.memory.load({"y/u": torch.rand(1, 256), "y/e": torch.rand(1, 256),
                                  "y/mask": torch.ones(1, 256, dtype=torch.bool)})  # fmt: skip
            u, y = torch.rand(2, 8)
            elbo.differentiable_loss(model, no_guide, u.sqrt(), y.sqrt())
            found.append(elbo.terms["rho/y"])
        noise[size] = torch.stack(found).std().item()
    assert noise[0] == pytest.approx(7**-0.5, rel=0.35)
    assert noise[256] == pytest.approx(263**-0.5, rel=0.35)


def test_calls_without_gradients_neither_use_nor_change_it():
    elbo = CorrelationELBO(weight=1.0, memory=100)
    elbo.differentiable_loss(model, no_guide, *batch())
    before = elbo.memory.pairs["y"][0].clone()
    scale, y = batch()
    elbo.loss(model, no_guide, scale, y)
    torch.testing.assert_close(elbo.terms["rho/y"], pearson(scale.square(), y.square()))
    assert torch.equal(elbo.memory.pairs["y"][0], before)


def test_a_batch_without_an_observation_leaves_a_finite_gradient():
    memory = PairMemory(10)
    u, e = torch.rand(2, 1, 4)
    memory.extended("y", u, e, everything(u))
    u.requires_grad_()
    found = memory.extended("y", u, e, ~everything(u))
    (gradient,) = torch.autograd.grad(pearson(*(v[0] for v in found)), u)
    assert torch.equal(gradient, torch.zeros(1, 4))


def test_forgets_and_is_put_back():
    elbo = CorrelationELBO(weight=1.0, memory=100)
    elbo.differentiable_loss(model, no_guide, *batch())
    state = elbo.memory.state()
    elbo.forget()
    assert elbo.memory.state() == {}
    elbo.memory.load(state)
    assert set(elbo.memory.state()) == {"y/u", "y/e", "y/mask"}
    assert torch.equal(elbo.memory.pairs["y"][1], state["y/e"])


def test_bad_arguments():
    with pytest.raises(ValueError, match="`memory` must be at least 0 pairs; got -3"):
        CorrelationELBO(memory=-3)
    with pytest.raises(ValueError, match="needs `vectorize_particles=True`"):
        CorrelationELBO(memory=10, num_particles=2)
