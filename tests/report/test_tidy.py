import pytest

from sure_pyro.report.evidence import Slice
from sure_pyro.report.tidy import metrics_frame, reconstructability_frame
from tests.report.conftest import propagation, target, task, uncertainty


@pytest.fixture
def frame():
    parts = {
        "0": Slice("0", 5, task(), None, propagation()),
        "1": Slice("1", 5, task(), uncertainty(), propagation()),
    }
    return metrics_frame(parts)


def value(frame, quantity, hidden="1", part=None):
    lines = frame[(frame.quantity == quantity) & (frame.hidden == hidden)]
    (line,) = (lines if part is None else lines[lines.part == part]).itertuples()
    return line


def test_one_line_per_quantity(frame):
    assert not frame.duplicated(["hidden", "part", "quantity"]).any()
    assert value(frame, "sure").value == 0.8
    assert value(frame, "nll/taylor").value == 0.5
    assert value(frame, "shares/head").value == 0.7
    assert value(frame, "verdicts/agree").value == 3


def test_intervals_have_ends(frame):
    line = value(frame, "gain_zero")
    assert (line.value, line.lower, line.upper) == pytest.approx((0.2, 0.19, 0.21))
    assert value(frame, "sure").lower != value(frame, "sure").lower  # NaN


def test_derived_quantities_are_there(frame):
    assert value(frame, "won_back").value == pytest.approx(2 / 3)
    assert value(frame, "ratio", part="uncertainty").value == 1


def test_words_and_what_was_not_measured_are_left_out(frame):
    assert "score" not in set(frame.quantity)
    assert set(frame[frame.hidden == "0"].part) == {"task", "propagation"}


def test_reconstructability():
    found = reconstructability_frame(
        {"image": target(0.3, 0.9, 0.0, "the class only"), "text": target(0.5)}, {"image": 0.4}
    )
    assert list(found.part) == ["total", "between classes", "within classes", "total"]
    assert list(found.modality) == ["image"] * 3 + ["text"]
    assert found.all_others_visible.iloc[0] == 0.4
    assert len(reconstructability_frame({}, {})) == 0
