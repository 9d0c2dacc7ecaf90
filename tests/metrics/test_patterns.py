import numpy as np
import pytest

from sure_pyro.metrics import mask_pattern, per_pattern, rmse
from sure_pyro.metrics.scores import squared_error


def test_values_rows_and_overall_by_hand():
    x, y = np.array([1.0, 2.0, 5.0, 9.0]), np.zeros(4)
    found = per_pattern(rmse, x, y, pattern=np.array(["b", "a", "b", "a"]))
    assert found.pattern.tolist() == ["a", "b"]
    np.testing.assert_allclose(found.value, [np.sqrt(85 / 2), np.sqrt(26 / 2)])
    assert found.rows.tolist() == [2, 2]
    assert float(found) == pytest.approx(np.sqrt(111 / 4))
    assert found["b"] == pytest.approx(np.sqrt(13))


def test_one_score_per_row_is_averaged():
    x, y, pattern = np.array([1.0, 3.0, 5.0]), np.zeros(3), np.array([7, 7, 2])
    found = per_pattern(squared_error, x, y, pattern=pattern)
    assert float(found) == pytest.approx(35 / 3)
    assert found[7] == pytest.approx(5)
    assert found[2] == pytest.approx(25)


def test_rare_patterns_show_their_rows_and_no_value():
    found = per_pattern(np.mean, np.arange(4.0), pattern=np.array([0, 0, 0, 1]), minimum_rows=2)
    assert np.isnan(found[1])
    assert found.rows.tolist() == [3, 1]


def test_dataframe_has_overall_first_and_names_the_metric():
    table = per_pattern(np.mean, np.arange(3.0), pattern=np.array(["a", "b", "b"]), name="loss")
    frame = table.to_dataframe()
    assert frame.columns.tolist() == ["pattern", "loss", "rows"]
    assert frame["pattern"].tolist() == ["overall", "a", "b"]
    assert frame["rows"].tolist() == [3, 1, 2]


def test_without_pattern_there_is_the_overall_value_alone():
    found = per_pattern(np.mean, np.arange(3.0))
    assert float(found) == 1
    assert len(found.pattern) == 0


def test_options_reach_the_metric():
    assert float(per_pattern(np.quantile, np.arange(5.0), q=0.25)) == 1


def test_mask_pattern_names_rows():
    available = np.array([[True, True], [False, True], [False, False], [True, True]])
    named = mask_pattern(available, ["image", "text"])
    assert named.tolist() == ["image+text", "text", "nothing", "image+text"]
    assert mask_pattern(available).tolist() == ["11", "01", "00", "11"]


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"one number of rows, at least 1; got \[3, 2\]"):
        per_pattern(rmse, np.ones(3), np.ones(2))
    with pytest.raises(ValueError, match=r"at least 1; got \[0\]"):
        per_pattern(np.mean, np.ones(0))
    with pytest.raises(ValueError, match=r"`pattern` needs shape \(3,\), one per row; got \(2,\)"):
        per_pattern(np.mean, np.ones(3), pattern=np.array(["a", "b"]))
    with pytest.raises(TypeError, match=r"`pattern` needs strings or integers; got dtype float64"):
        per_pattern(np.mean, np.ones(3), pattern=np.ones(3))
    with pytest.raises(KeyError, match=r"No rows of pattern 'c'; known: \['a'\]"):
        per_pattern(np.mean, np.ones(1), pattern=np.array(["a"]))["c"]
    with pytest.raises(ValueError, match="`modalities` needs 2 names, one per column; got 1"):
        mask_pattern(np.ones((3, 2), dtype=bool), ["a"])
