"""Each signature is provoked by a model that was really fitted, and a sound one has none."""

import pytest

from tests.diagnostics.signatures import cases


def test_modalities_that_share_nothing():
    assert cases.names(cases.unrelated) == (("nothing shared",), ("nothing shared",))


@pytest.mark.slow
def test_a_sound_model_has_no_sign_of_failure():
    assert cases.names(cases.sound) == ((), ())


@pytest.mark.slow
def test_epochs_chosen_on_the_rows_of_training_let_it_collapse():
    with_truth, without = cases.names(cases.sure_of_itself)
    assert with_truth == ("collapse",)
    assert without == ()  # its own validation rows can not show it: the blind spot


@pytest.mark.slow
def test_a_correlation_over_four_rows_oscillates_and_its_variance_dominates():
    for found in cases.names(cases.by_correlation_alone):
        assert {"oscillation", "domination"} <= set(found)


@pytest.mark.slow
def test_one_modality_that_all_others_are_copies_of():
    for found in cases.names(cases.carried):
        assert "imbalance" in found
        assert not {"collapse", "oscillation"} & set(found)
