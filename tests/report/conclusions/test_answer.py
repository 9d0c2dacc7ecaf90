from sure_pyro.metrics.bootstrap import Interval
from sure_pyro.report.conclusions import conclude
from sure_pyro.report.conclusions.answer import interval, listed, nothing_at_all, number
from tests.report.conftest import evidence, target


def test_numbers_have_no_sign_in_front_of_nothing():
    assert number(-0.001) == "0.00"
    assert number(-0.01) == "-0.01"
    assert number(0.0004, 3, "+") == "+0.000"
    assert interval(Interval(0.5, -0.001, 1.0, 0.9)) == "0.50 [0.00, 1.00]"


def test_lists_in_words():
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"


def test_nothing_at_all():
    nothing = target(0, verdict="nothing")
    assert nothing_at_all(evidence(targets={"a": nothing, "b": nothing}))
    assert not nothing_at_all(evidence(targets={"a": nothing, "b": target(0.5)}))
    assert not nothing_at_all(evidence(targets={}))


def test_five_questions_in_order():
    found = conclude(evidence())
    assert len({c.question for c in found}) == len(found) == 5
    assert all(c.headline.endswith(".") for c in found)
    assert all(line.endswith(".") for c in found for line in c.details)
