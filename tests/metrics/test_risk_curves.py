import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sure_pyro.metrics import aurc, risk_coverage
from sure_pyro.metrics.risk_curves import excess_aurc


def test_curve_by_hand():
    found = risk_coverage(np.array([0.3, 0.1, 0.2]), np.array([6.0, 0.0, 3.0]))
    np.testing.assert_allclose(found.coverage, [1 / 3, 2 / 3, 1])
    np.testing.assert_allclose(found.risk, [0, 1.5, 3])
    np.testing.assert_allclose(found.threshold, [0.1, 0.2, 0.3])
    assert found.aurc == pytest.approx(1.5)
    assert found.excess_aurc == pytest.approx(0)


def test_wrong_order_costs():
    u, loss = np.array([3.0, 2.0, 1.0]), np.array([0.0, 3.0, 6.0])
    assert aurc(u, loss) == pytest.approx(np.mean([6, 4.5, 3]))
    assert excess_aurc(u, loss) == pytest.approx(4.5 - 1.5)


def test_losses_may_be_true_and_false():
    u, wrong = np.array([0.1, 0.2, 0.3]), np.array([False, False, True])
    assert aurc(u, wrong) == aurc(u, wrong.astype(float)) == pytest.approx(1 / 9)


def test_constant_uncertainty_is_flat_whatever_the_order_of_the_rows():
    loss = np.array([0.0, 0.0, 1.0, 1.0])
    np.testing.assert_allclose(risk_coverage(np.ones(4), loss).risk, 0.5)


losses = hnp.arrays(np.float64, st.integers(1, 15), elements=st.floats(0, 10))


@given(losses, st.randoms(use_true_random=False))
def test_oracle_is_lowest_and_order_of_rows_does_not_matter(loss, random):
    u = np.array([float(random.randint(0, 3)) for _ in loss])  # many ties
    found = risk_coverage(u, loss)
    assert found.excess_aurc >= -1e-9
    assert found.risk[-1] == pytest.approx(loss.mean())
    order = np.array(random.sample(range(len(loss)), len(loss)))
    np.testing.assert_allclose(risk_coverage(u[order], loss[order]).risk, found.risk, atol=1e-9)


@given(losses)
def test_monotone_change_of_uncertainty_changes_nothing(loss):
    u = np.random.default_rng(0).random(len(loss))
    np.testing.assert_allclose(risk_coverage(np.exp(3 * u), loss).risk, risk_coverage(u, loss).risk)


def test_random_order_has_the_mean_loss_as_area():
    rng = np.random.default_rng(0)
    u, loss = rng.random(20000), rng.random(20000)
    # The area is a weighted mean of the losses; its sd is below 2 sd(loss)/sqrt(N); 5 sd.
    assert aurc(u, loss) == pytest.approx(loss.mean(), abs=10 * loss.std() / np.sqrt(20000))


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"of one shape; got `u` \(3,\), `loss` \(2,\)"):
        aurc(np.ones(3), np.ones(2))
