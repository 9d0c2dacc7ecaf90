import pytest
import torch

from sure_pyro.guides import SWAGGuide
from sure_pyro.guides.swag import Trajectory
from tests.guides.conftest import NOISE, make_conjugate


def test_moments_of_a_known_trajectory(double):
    """Half of the covariance from the diagonal, half from the deviations [Maddox2019]."""
    steps = torch.randn(400, 3) * torch.tensor([1.0, 2.0, 0.5]) + 5
    trajectory = Trajectory(rank=400)
    for w in steps:
        trajectory.add({"weight": w})
    guide = SWAGGuide(rank=400)
    guide.learn_trajectory("weights", trajectory)
    torch.testing.assert_close(guide.mean(), steps.mean(0))
    torch.testing.assert_close(guide.learnt["weights"]["scale"].square(), steps.var(0) / 2)
    half = guide.covariance() - torch.diag(steps.var(0) / 2)
    torch.testing.assert_close(half.diagonal(), steps.var(0) / 2, rtol=0.05, atol=0)
    assert Trajectory(rank=7).rank == 7


def wander(problem, lr, epochs=300, batch=10):
    """Plain SGD on the mean squared error, from the mode, at a constant rate."""
    w, g = problem.mean.clone(), torch.Generator().manual_seed(0)
    trajectory = Trajectory(rank=epochs)
    for _ in range(epochs):
        for rows in torch.randperm(len(problem.x), generator=g).split(batch):
            residual = problem.x[rows] @ w - problem.y[rows]
            prior = w * NOISE**2 / len(problem.x)
            w = w - lr * (problem.x[rows].T @ residual / len(rows) + prior)
        trajectory.add({"weight": w})
    guide = SWAGGuide(rank=epochs)
    guide.learn_trajectory("weights", trajectory)
    return guide


def test_mean_is_right_and_the_width_is_set_by_the_learning_rate(double):
    """Why it can not recover the posterior: nothing in the data tells the rate."""
    problem = make_conjugate()
    slow, fast = wander(problem, 0.02), wander(problem, 0.2)
    sd = problem.covariance.diagonal().sqrt()
    assert ((slow.mean() - problem.mean) / sd).abs().max() < 0.2
    assert fast.covariance().trace() > 5 * slow.covariance().trace()
    # With all rows in one batch the iterates stand still.
    still = wander(problem, 0.2, epochs=5, batch=60)
    assert still.covariance().trace() < 1e-12


def test_one_point_has_no_variance():
    trajectory = Trajectory(rank=2)
    trajectory.add({"weight": torch.zeros(2)})
    with pytest.raises(ValueError, match="at least 2 points for a variance; got 1"):
        SWAGGuide().learn_trajectory("weights", trajectory)
    with pytest.raises(ValueError, match="`rank` must be at least 1; got 0"):
        SWAGGuide(rank=0)
