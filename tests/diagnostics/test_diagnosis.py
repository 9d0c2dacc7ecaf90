import pytest

from sure_pyro import diagnose
from sure_pyro.diagnostics.diagnosis import Diagnosis
from sure_pyro.training import History
from tests.diagnostics.signatures import cases


def test_a_diagnosis_reads_as_text_table_and_page():
    found = diagnose(*cases.unrelated())
    assert len(found) == len(list(found)) == 1
    assert found
    assert "worthless here" in repr(found)
    assert found.to_dataframe()["signature"].tolist() == ["nothing shared"]
    assert found._repr_html_().startswith("<ul><li><b>nothing shared</b>")


def test_nothing_found_is_said():
    nothing = Diagnosis(())
    assert not nothing
    assert repr(nothing) == "None of the known signs of failure."
    assert repr(nothing) in nothing._repr_html_()
    assert list(nothing.to_dataframe().columns) == ["signature", "where", "evidence", "advice"]


def test_without_history_and_truth_nothing_is_claimed():
    _, prediction, _ = cases.unrelated()
    assert "nothing shared" not in diagnose(History(), prediction).names


def test_truth_of_other_rows():
    history, prediction, truth = cases.unrelated()
    with pytest.raises(ValueError, match=r"`truth` needs the .* rows of"):
        diagnose(history, prediction, truth[:3])
