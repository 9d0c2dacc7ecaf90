import pytest

from sure_pyro.calibration import read_json, write_json


def test_round_trip_leaves_one_file(tmp_path):
    write_json(tmp_path / "a.json", {"x": 0.1, "y": [1, 2]})
    write_json(tmp_path / "a.json", {"x": 0.2})
    assert read_json(tmp_path / "a.json") == {"x": 0.2}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_what_is_no_json_leaves_the_old_file(tmp_path):
    write_json(tmp_path / "a.json", {"x": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert read_json(tmp_path / "a.json") == {"x": 1}
