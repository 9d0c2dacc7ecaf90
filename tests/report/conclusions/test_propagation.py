import pytest

from sure_pyro.report.conclusions.propagation import about_propagation
from tests.report.conftest import about, evidence, propagation


def found(**changes):
    return about_propagation(evidence(propagation=propagation(**changes)))


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({}, "taylor"),
        ({"between": about(-0.1)}, "sampling"),
        ({"between": about(0.1)}, "taylor"),
        ({"between": about(-0.1, 0.2)}, "taylor"),  # not for certain
        ({"verdicts": {"agree": 2, "differ": 1}}, "taylor"),
        ({"verdicts": {"agree": 2, "disagree": 1}}, "sampling"),
        ({"taylor": about(0.1), "sampling": about(0.1)}, "point"),
        ({"taylor": about(0.1), "sampling": about(-0.1), "between": about(-0.2)}, "sampling"),
    ],
)
def test_the_rule(changes, answer):
    assert found(**changes).answer == answer


def test_a_gain_that_is_not_shown_is_said():
    assert "is not shown" in found(taylor=about(0), sampling=about(0)).headline
    assert "is not shown" not in found().headline


def test_the_numbers():
    text = " ".join(found(verdicts={"agree": 9, "differ": 1}, ratio=1.04).details)
    assert "Taylor -0.100 [-0.110, -0.090]" in text
    assert "9 agree, 1 differ" in text
    assert "1.04 times what sampling sees" in text
