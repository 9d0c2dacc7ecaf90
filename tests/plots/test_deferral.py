import numpy as np
import pytest

from sure_pyro.calibration.arrays import DeferralThresholds
from sure_pyro.plots import plot_deferral

PATTERN = np.repeat(["audio", "text"], 4)
SCORE = np.tile([0.1, 0.2, 0.3, 0.4], 2)
LOSS = np.array([0, 0, 1, 1, 1, 1, 1, 1.0])


def report(**thresholds):
    policy = DeferralThresholds(
        thresholds, 0.25, dict.fromkeys(thresholds, 9), "budget", 0.5, 0.1, False
    )
    return policy.evaluate(SCORE, LOSS, PATTERN)


REPORTS = {"policy": report(audio=0.35, text=-np.inf), "static": report(audio=0.25, text=0.25)}


def test_risk_of_the_accepted_by_pattern(ax):
    plot_deferral(REPORTS, ax, target=0.1)
    policy, static = (container.lines[0].get_xdata() for container in ax.containers)
    np.testing.assert_allclose(policy, [1 / 3, 1 / 3, np.nan])  # no text is accepted
    np.testing.assert_allclose(static, [0.5, 0, 1])
    labels = [text.get_text().replace("\N{NO-BREAK SPACE}", " ") for text in ax.get_yticklabels()]
    assert labels == ["overall (8)", "audio (4)", "text (4)"]
    assert ax.lines[0].get_xdata() == [0.1, 0.1]
    assert "among the accepted" in ax.get_xlabel()


def test_share_that_is_accepted():
    ax = plot_deferral(REPORTS, quantity="coverage")
    assert ax.containers[0].lines[0].get_xdata().tolist() == [3 / 8, 3 / 4, 0]
    assert ax.get_xlim()[0] < 0  # the dot at 0 is whole


def test_error(ax):
    with pytest.raises(ValueError, match="`quantity` must be 'risk' or 'coverage'; got 'loss'"):
        plot_deferral(REPORTS, ax, quantity="loss")
