import pytest

from sure_pyro.report.objectives import objectives_frame


def test_the_main_objective_gains_nothing_over_itself(study):
    found = study.evidence.objectives
    main, other = found["elbo+pcc"], found["elbo"]
    assert main.score_gain.estimate == main.nll_gain.estimate == 0
    assert other.score_gain.estimate == pytest.approx(other.score - main.score)
    assert other.nll_gain.estimate == pytest.approx(main.nll - other.nll)


def test_the_main_objective_is_measured_as_in_the_report(study):
    main, random = study.evidence.objectives["elbo+pcc"], study.evidence.random
    assert main.uncertainty == random.uncertainty
    assert main.score == pytest.approx(random.task.sure)
    assert main.nll == pytest.approx(random.propagation.nll["taylor"])


def test_one_line_for_each(study):
    frame = objectives_frame(study.evidence.objectives, {"elbo": 1.0, "elbo+pcc": 2.0}, "accuracy")
    assert list(frame.index) == ["elbo", "elbo+pcc"]
    assert frame.loc["elbo", "seconds"] == 1
    assert frame.loc["elbo", "accuracy"] == study.evidence.objectives["elbo"].score
