import pyro
import pytest
import torch
from pyro import distributions as dist
from pyro.infer.autoguide import AutoNormal
from torch import nn

from sure_pyro.propagation import sampling

# Tolerances: 4.5 standard errors, a false alarm in 7e-6 of the comparisons; seeds are fixed.
SIGMAS = 4.5


def randn(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def rand(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator, dtype=torch.float64)


def agree(value, expected, error):
    assert ((value - expected).abs() <= SIGMAS * error + 1e-12).all()


W = randn(4, 3)


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(W.clone())

    def forward(self, z):
        return z @ self.weight


def weights(seed):
    return {"weight": W + 0.3 * randn(4, 3, seed=seed)}


def test_weights_are_a_source_of_their_own():
    # y = z w: Var = w^2 s_z + z^2 s_w + s_z s_w, summed over the entries
    mean, variance = randn(5, 4), rand(5, 4)
    variance[0] = 0
    y = sampling(Linear(), mean, variance, weights=weights, num_samples=2000)
    agree(y.sources["input"], variance @ W.square(), y.errors["input"])
    spread = torch.full((4, 3), 0.09, dtype=torch.float64)
    agree(y.sources["weights"], mean.square() @ spread, y.errors["weights"])
    agree(y.sources["interaction"], variance @ spread, y.errors["interaction"])
    assert (y.sources["interaction"][0] == 0).all()
    with pytest.raises(TypeError, match="must be an nn.Module"):
        sampling(torch.tanh, mean, variance, weights=weights)
    with pytest.raises(ValueError, match=r"draws \['wieght'\], but .* are \['weight'\]"):
        sampling(Linear(), mean, variance, weights=lambda seed: {"wieght": torch.ones(2, 2)})


def test_a_control_of_the_latents_goes_with_drawn_weights():
    mean, variance = randn(5, 4), rand(5, 4)
    options = {"weights": weights, "num_samples": 1000}
    y = sampling(Linear(), mean, variance, control="taylor", **options)
    # the latents alone are affine, so known exactly; the weights have no control of their own
    torch.testing.assert_close(y.sources["input"], variance @ W.square())
    spread = torch.full((4, 3), 0.09, dtype=torch.float64)
    agree(y.sources["weights"], mean.square() @ spread, y.errors["weights"])
    agree(y.sources["interaction"], variance @ spread, y.errors["interaction"])
    plain = sampling(Linear(), mean, variance, **options)
    assert (y.errors["total"] < plain.errors["total"]).all()


def test_weights_from_a_pyro_guide():
    net = nn.Linear(4, 3)

    def model():
        for name, value in net.named_parameters():
            pyro.sample(name, dist.Normal(torch.zeros_like(value), 1).to_event(value.ndim))

    guide = AutoNormal(model, init_scale=0.2)
    guide()

    def weights(seed):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return guide()

    median = guide.median()
    net.load_state_dict(median)
    z = randn(3, 4).float()
    y = sampling(net, z, torch.zeros_like(z), weights=weights, num_samples=1000, seed=1)
    # every weight has sd 0.2: Var[y] = 0.04 (|z|^2 + 1)
    exact = 0.04 * (z.square().sum(-1, keepdim=True) + 1).expand(3, 3)
    agree(y.sources["weights"], exact, y.errors["weights"])
    torch.testing.assert_close(y.variance, y.sources["weights"])
    assert y.rows_share_draws
