"""The conditional of a Gaussian against textbook formulas, and EM against the truth."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sure_pyro.models.joint_gaussian import by_pattern, conditional, joint_moments, shrunk


def covariance(E, seed=0):
    A = torch.randn(E, E + 2, generator=torch.Generator().manual_seed(seed), dtype=torch.double)
    return A @ A.mT / E


def test_two_coordinates_are_a_regression():
    S = torch.tensor([[4.0, 1.2], [1.2, 1.0]], dtype=torch.double)
    found = conditional(S, torch.tensor([True, False]))
    assert found.gain.item() == pytest.approx(1.2 / 4.0)
    assert found.covariance.item() == pytest.approx(1.0 - 1.2**2 / 4.0)


@given(st.integers(0, 1000), st.lists(st.booleans(), min_size=5, max_size=5))
@settings(max_examples=25, deadline=None)
def test_the_conditional_covariance_is_the_inverse_of_a_block_of_the_precision(seed, visible):
    S, v = covariance(5, seed), torch.tensor(visible)
    found = conditional(S, v)
    precision = S.inverse()
    h = ~v
    torch.testing.assert_close(found.covariance, precision[h][:, h].inverse())
    gain = -precision[h][:, h].inverse() @ precision[h][:, v]
    torch.testing.assert_close(found.gain.mT, gain)


def test_nothing_visible_is_the_marginal():
    S = covariance(3)
    found = conditional(S, torch.zeros(3, dtype=torch.bool))
    assert found.gain.shape == (0, 3)
    torch.testing.assert_close(found.covariance, S)


def test_rows_of_one_pattern_go_together_and_complete_ones_are_left_out():
    visible = torch.tensor([[1, 0], [1, 1], [1, 0], [0, 1]]).bool()
    found = {tuple(pattern.tolist()): rows.tolist() for rows, pattern in by_pattern(visible)}
    assert found == {(True, False): [0, 2], (False, True): [3]}


def test_complete_rows_give_mean_and_ledoit_wolf():
    from sklearn.covariance import ledoit_wolf

    x = torch.randn(40, 6, generator=torch.Generator().manual_seed(0), dtype=torch.double)
    mean, S = joint_moments(x, torch.ones(40, 6, dtype=torch.bool))
    expected, _ = ledoit_wolf(x.numpy())
    torch.testing.assert_close(mean, x.mean(0))
    torch.testing.assert_close(S, torch.from_numpy(expected))


def test_em_finds_what_made_rows_with_gaps():
    """4,000 rows, a third of the entries gone: within 5 standard errors of a covariance.

    The standard error of an entry is at most sqrt(2 / (n/3)) of the variances' root product: a
    false alarm in one of 20 numbers is below 2e-5.
    """
    g = torch.Generator().manual_seed(1)
    S, mu = covariance(5, 3), torch.arange(5.0).double()
    x = mu + torch.randn(4000, 5, generator=g, dtype=torch.double) @ torch.linalg.cholesky(S).mT
    visible = torch.rand(4000, 5, generator=g) < 2 / 3
    mean, found = joint_moments(torch.where(visible, x, 0.0), visible)
    unit = (S.diag()[:, None] * S.diag()).sqrt()
    assert ((found - S).abs() / unit).max() < 5 * (2 / (4000 / 3)) ** 0.5
    assert ((mean - mu) / S.diag().sqrt()).abs().max() < 5 * (1 / (4000 / 3)) ** 0.5


def test_a_coordinate_that_no_row_has_is_standard_normal_before_shrinking():
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0), dtype=torch.double)
    visible = torch.ones(50, 3, dtype=torch.bool)
    visible[:, 2] = False
    mean, S = joint_moments(x * visible, visible)
    assert mean[2].abs() < 1e-12
    assert S[2, :2].abs().max() < 1e-12
    assert S[2, 2] == pytest.approx(1.0, abs=0.2)


def test_hidden_covariance_is_shrunk_with_the_rest():
    x = torch.randn(30, 2, generator=torch.Generator().manual_seed(0), dtype=torch.double)
    none = torch.zeros(2, 2, dtype=torch.double)
    more = shrunk(x, none + torch.eye(2, dtype=torch.double))
    torch.testing.assert_close(more, shrunk(x, none) + torch.eye(2, dtype=torch.double))
