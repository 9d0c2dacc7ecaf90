import pytest

from sure_pyro.report.conclusions.task import about_task
from tests.report.conftest import about, evidence, target, task


def found(**changes):
    return about_task(evidence(task=task(**changes)))


@pytest.mark.parametrize(
    ("gain_zero", "gain_mean", "answer", "words"),
    [
        (0.1, 0.1, "yes", "more than filling in zeros or means"),
        (0.1, 0.0, "partly", "More than filling in zeros; over means no gain"),
        (0.0, 0.1, "partly", "More than filling in means; over zeros no gain"),
        (0.0, 0.0, "unknown", "about as well as"),
        (0.1, -0.1, "no", "worse than filling in means"),
        (-0.1, -0.1, "no", "worse than filling in zeros or means"),
    ],
)
def test_both_fillings_must_be_beaten_for_certain(gain_zero, gain_mean, answer, words):
    conclusion = found(gain_zero=about(gain_zero), gain_mean=about(gain_mean))
    assert conclusion.answer == answer
    assert words in conclusion.headline


def test_the_near_end_counts_and_not_the_estimate():
    assert found(gain_zero=about(0.1, 0.2), gain_mean=about(0.1, 0.2)).answer == "unknown"


def test_nothing_lost_is_nothing_to_win():
    conclusion = found(loss=about(0), gain_zero=about(0), gain_mean=about(0))
    assert "costs nothing here for certain" in conclusion.headline
    assert "nothing to win back" in " ".join(conclusion.details)


def test_won_back():
    assert "67% is won back." in " ".join(found().details)
    assert "may be chance" in " ".join(found(gain_zero=about(0)).details)
    assert "nothing is won back" in " ".join(found(sure=0.5).details)


def test_a_gain_without_reconstruction_is_not_its_merit():
    nothing = {"text": target(0.0, verdict="nothing")}
    conclusion = about_task(evidence(targets=nothing))
    assert conclusion.answer == "no"
    assert "a head that learned to answer without" in conclusion.headline


def test_a_gain_by_the_head_alone_is_said():
    assert "comes from the head" in " ".join(found(gain_swapped=about(0)).details)
    assert "comes from the head" not in " ".join(found().details)


def test_points_and_r2():
    assert "+20.0 [+19.0, +21.0] points" in " ".join(found().details)
    assert "+0.200 [+0.190, +0.210] of R²" in " ".join(found(score="R²").details)
