import numpy as np
import pytest
import scipy.stats
import torch
from sklearn.metrics import mean_pinball_loss

from sure_pyro.objectives import Pinball
from sure_pyro.objectives.scores.crps import crps_normal
from sure_pyro.objectives.scores.pinball import pinball_normal

pytestmark = pytest.mark.usefixtures("double")


@pytest.fixture
def numbers():
    loc, y = torch.randn(2, 20)
    return loc, 0.2 + torch.rand(20), y


@pytest.mark.parametrize("levels", [(0.9,), (0.05, 0.5, 0.8)])
def test_agrees_with_scikit_learn_on_scipys_quantiles(numbers, levels):
    loc, scale, y = numbers
    theirs = [
        mean_pinball_loss(y, scipy.stats.norm(loc, scale).ppf(level), alpha=level)
        for level in levels
    ]
    ours = pinball_normal(loc, scale, y, levels).mean()
    assert ours.item() == pytest.approx(2 * np.mean(theirs))


def test_many_levels_are_the_crps(numbers):
    levels = ((np.arange(2000) + 0.5) / 2000).tolist()
    torch.testing.assert_close(
        pinball_normal(*numbers, levels), crps_normal(*numbers), atol=1e-3, rtol=0
    )


def test_the_median_alone_is_absolute_error_and_does_not_see_the_scale(numbers):
    loc, _, y = numbers
    torch.testing.assert_close(pinball_normal(*numbers, (0.5,)), (y - loc).abs())
    assert not Pinball((0.5,)).sees_variance
    assert Pinball().sees_variance


@pytest.mark.parametrize("levels", [(), (0.0, 0.5), (1.0,)])
def test_bad_levels(levels):
    with pytest.raises(ValueError, match=r"`levels` must be numbers in \(0, 1\); got \("):
        Pinball(levels)
