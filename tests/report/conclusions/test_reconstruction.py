import pytest

from sure_pyro.report.conclusions.reconstruction import about_reconstruction
from tests.report.conftest import evidence, target

NOTHING = target(0.0, verdict="nothing")
LITTLE = target(0.05, verdict="little")
CLASS = target(0.3, 0.9, 0.0, "the class only")
PART = target(0.3, verdict="part")
MOST = target(0.8, verdict="most")


@pytest.mark.parametrize(
    ("targets", "answer", "words"),
    [
        ([NOTHING, NOTHING], "no", "Do not trust the reconstruction: no modality can be told"),
        ([NOTHING, LITTLE], "no", "Do not trust the reconstruction: next to nothing"),
        ([CLASS, CLASS], "partly", "Only the class"),
        ([CLASS, NOTHING], "partly", "not even that"),
        ([PART, MOST], "yes", "Yes"),
        ([PART, NOTHING], "partly", "Some of them"),
        ([CLASS, MOST], "partly", "Some of them"),
    ],
)
def test_headline_by_verdicts(targets, answer, words):
    found = about_reconstruction(evidence(targets=dict(zip("ab", targets, strict=True))))
    assert found.answer == answer
    assert words in found.headline


def test_nothing_never_sounds_confident():
    found = about_reconstruction(evidence(targets={"text": NOTHING}))
    text = " ".join([found.headline, *found.details])
    assert "Do not trust it" in text
    assert not any(word in text for word in ("Yes", "certain"))


def test_the_class_only_says_what_was_not_reconstructed():
    (line,) = about_reconstruction(evidence(targets={"image": CLASS})).details
    assert line.startswith("image: the class and nothing else")
    assert "between classes 0.90 [0.89, 0.91], within a class 0.00 [-0.01, 0.01]" in line
    assert "with all other modalities visible 0.40" in line


def test_the_lower_end_is_what_is_claimed():
    (line,) = about_reconstruction(evidence(targets={"text": MOST})).details
    assert "79% of its variance for certain" in line


def test_few_groups_and_few_rows_are_said():
    text = " ".join(about_reconstruction(evidence(test_groups=2, rows=40)).details)
    assert "only 2 groups" in text
    assert "only 40 rows" in text
    assert "only" not in " ".join(about_reconstruction(evidence(test_groups=20)).details)


def test_without_targets():
    assert about_reconstruction(evidence(targets={})).answer == "unknown"
