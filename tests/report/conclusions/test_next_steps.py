import pytest

from sure_pyro.report.conclusions.next_steps import about_next_steps
from sure_pyro.report.evidence import Compared
from tests.report.conftest import about, evidence, propagation, target, uncertainty


def steps(**changes):
    found = about_next_steps(evidence(**changes))
    return " ".join([found.headline, *found.details])


def test_there_is_always_a_next_step():
    assert steps().startswith("Repeat with another seed")


def test_what_can_not_be_reconstructed_must_be_recorded():
    nothing = target(0, verdict="nothing")
    assert "Record text and audio" in steps(targets={"text": nothing, "audio": nothing})
    assert "does not replace it. Where it is missing" in steps(targets={"text": nothing})


def test_the_class_is_for_the_task():
    text = steps(targets={"image": target(0.3, 0.9, 0.0, "the class only")})
    assert "Use the reconstruction of image for the task, not as a picture" in text


def test_a_wrong_size_is_rescaled_on_rows_like_those_to_come():
    off = uncertainty(predicted=0.25)
    assert "by about 2, on rows like those you will meet." in steps(uncertainty=off)
    assert "from groups of their own" in steps(uncertainty=off, new_groups=True)


def test_an_undecided_cross_check_needs_draws():
    assert "more draws" in steps(propagation=propagation(verdicts={"undecided": 1}))


def test_the_modality_that_causes_most_variance_is_named():
    shares = {"text": 0.2, "audio": 0.4, "head": 0.4}
    assert "take audio: it causes 40%" in steps(propagation=propagation(shares=shares))
    assert "take" not in steps(propagation=propagation(shares={"head": 1.0}))


def test_another_objective_is_named_only_where_it_is_better_for_certain():
    def compared(score, nll):
        main = Compared(None, 0.8, 0.5, about(0), about(0))
        return {"elbo": Compared(None, 0.8, 0.5, score, nll), "elbo+pcc": main}

    better = steps(objectives=compared(about(0.03), about(0)))
    assert "Try the objective 'elbo': here it had the better accuracy (+0.030" in better
    assert "log-likelihood" not in better
    assert "Choose on validation rows" in better
    assert "Try" not in steps(objectives=compared(about(0.03, 0.1), about(-0.1)))


@pytest.mark.parametrize("few", [{"rows": 40}, {"test_groups": 2}])
def test_small_test_parts(few):
    assert "Set more rows or groups aside" in steps(**few)
