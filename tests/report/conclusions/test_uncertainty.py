import pytest

from sure_pyro.report.conclusions.uncertainty import about_uncertainty
from tests.report.conftest import evidence, target, uncertainty


def found(rows=400, **changes):
    return about_uncertainty(evidence(uncertainty=uncertainty(**changes), rows=rows))


@pytest.mark.parametrize(
    ("predicted", "within", "answer"),
    [
        (0.5, 0.4, "yes"),
        (0.5, 0.25, "partly"),
        (0.5, 0.0, "partly"),
        (0.1, 0.4, "partly"),
        (0.1, 0.0, "no"),
        (2.0, 0.1, "no"),
    ],
)
def test_size_and_ranking_are_two_things(predicted, within, answer):
    assert found(predicted=predicted, within=within).answer == answer


def test_overconfident_and_too_cautious():
    assert "overconfident" in found(predicted=0.125).headline
    assert "2.00 times as large as it says" in found(predicted=0.125).details[0]
    assert "too cautious" in found(predicted=1.0).headline


def test_a_correlation_is_compared_with_what_is_attainable_and_with_chance():
    assert "about as well as it could" in found(within=0.2, attainable=0.2).headline
    weak = found(within=0.15, attainable=0.15, rows=100)
    assert "does not tell" in weak.headline
    assert "Below 0.20 it can be chance" in weak.details[1]


def test_reaching_more_than_attainable_is_said():
    assert "spread less than the errors" in found(within=0.4, attainable=0.2).details[1]


def test_pooled_flatters():
    assert "in part because more was hidden" in found(pooled=0.7).details[1]
    assert "in part" not in found(pooled=0.4).details[1]


def test_without_cells_there_is_no_ranking():
    assert "could not be measured" in found(cells=0, rows=0).headline
    assert about_uncertainty(evidence(uncertainty=None)).answer == "unknown"


@pytest.mark.parametrize(
    ("validation", "words"), [(1.0, "was right (1.00)"), (0.5, "was off already (0.50)")]
)
def test_a_shift_between_groups_is_named(validation, words):
    shifted = evidence(
        uncertainty=uncertainty(predicted=0.2), new_groups=True, ratio_validation=validation
    )
    text = " ".join(about_uncertainty(shifted).details)
    assert "occur nowhere in training" in text
    assert words in text
    assert "on the new groups it is 0.40" in text


def test_no_shift_is_named_where_groups_are_known_or_the_size_is_right():
    assert "groups" not in " ".join(found(predicted=0.1).details)
    assert "groups" not in " ".join(about_uncertainty(evidence(new_groups=True)).details)


def test_not_knowing_and_saying_so():
    honest = evidence(
        targets={"text": target(0, verdict="nothing")},
        uncertainty=uncertainty(predicted=0.98, observed=1.0),
    )
    assert "predicts 0.98 of the latent's own variance" in " ".join(
        about_uncertainty(honest).details
    )
