import numpy as np
import pytest
import scoringrules
import torch

from sure_pyro.objectives.scores.crps import crps_normal

pytestmark = pytest.mark.usefixtures("double")


def test_agrees_with_scoringrules():
    loc, y = torch.randn(2, 50)
    scale = 0.1 + torch.rand(50)
    expected = scoringrules.crps_normal(y.numpy(), loc.numpy(), scale.numpy())
    np.testing.assert_allclose(crps_normal(loc, scale, y), expected)


def test_a_small_scale_gives_the_absolute_error():
    value = crps_normal(torch.zeros(1), torch.full((1,), 1e-9), torch.tensor([0.7]))
    assert value.item() == pytest.approx(0.7)


def test_is_proper_the_expectation_is_lowest_at_the_truth():
    quantiles = torch.special.ndtri((torch.arange(2000) + 0.5) / 2000)  # of Normal(0, 1)

    def expected(loc, scale):
        return crps_normal(torch.tensor(loc), torch.tensor(scale), quantiles).mean()

    best = expected(0.0, 1.0)
    assert all(expected(*p) > best for p in [(0.0, 0.9), (0.0, 1.1), (0.1, 1.0), (-0.1, 1.0)])
