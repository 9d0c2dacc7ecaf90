"""A model with a plate within a plate, a mask, a scale and an event dimension."""

from types import SimpleNamespace

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine


@pytest.fixture
def site():
    """Numbers of a site, double precision: loc, scale, y ``(6, 3, 2)`` and a mask ``(6, 3)``."""
    g = torch.Generator().manual_seed(0)
    loc, y = torch.randn(2, 6, 3, 2, dtype=torch.float64, generator=g)
    scale = 0.3 + torch.rand(6, 3, 2, dtype=torch.float64, generator=g)
    mask = torch.rand(6, 3, generator=g) < 0.7
    return SimpleNamespace(loc=loc.requires_grad_(), scale=scale.requires_grad_(), y=y, mask=mask)


@pytest.fixture
def model(site):
    """The program of that site, scored twice over."""

    def program():
        rows, tokens = pyro.plate("rows", 6, dim=-2), pyro.plate("tokens", 3, dim=-1)
        with rows, tokens, poutine.mask(mask=site.mask), poutine.scale(scale=2.0):
            fn = dist.Normal(site.loc, site.scale).to_event(1)
            return pyro.sample("y", fn, obs=site.y)

    return program
