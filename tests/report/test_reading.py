import pytest

from sure_pyro.report.reading import reading
from tests.report.conftest import target


@pytest.mark.parametrize("verdict", ["the class only", "part", "most"])
def test_what_was_reconstructed_stays(verdict):
    assert reading(target(0.5, 0.9, 0.0, verdict)) == verdict


@pytest.mark.parametrize("verdict", ["nothing", "little"])
def test_a_class_that_shows_through_is_not_nothing(verdict):
    assert reading(target(0.0, 0.6, -0.4, verdict)) == "the class only"


@pytest.mark.parametrize(
    ("between", "within", "half"),
    [
        (0.2, -0.4, 0.01),  # the class is hardly told
        (0.6, -0.4, 0.58),  # not for certain
        (0.6, 0.2, 0.01),  # and something within the classes
        (None, None, 0.01),  # no classes
    ],
)
def test_otherwise_the_verdict_stays(between, within, half):
    assert reading(target(0.05, between, within, "little", half)) == "little"
