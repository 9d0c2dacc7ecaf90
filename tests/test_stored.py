import math
from dataclasses import dataclass
from typing import NamedTuple

import pytest

from sure_pyro.stored import Stored, read_json, register, write_json


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


@register
class Pair(NamedTuple):
    value: float
    rows: int


@dataclass(frozen=True)
class Inner(Stored):
    knots: tuple[float, ...]


@dataclass(frozen=True)
class Outer(Stored):
    inner: Inner | None
    by_number: dict[int, Pair]
    by_name: dict[str, tuple[float, int]]
    limit: float


VALUE = Outer(
    Inner((0.1, 1 / 3)), {3: Pair(0.1, 2), -1: Pair(math.inf, 0)}, {"a+b": (2.0, 1)}, -math.inf
)


def test_what_is_stored_comes_back_to_the_last_bit():
    assert Outer.from_json(VALUE.to_json()) == VALUE
    nothing = Outer(None, {}, {}, 0.0)
    assert Outer.from_json(nothing.to_json()) == nothing
    assert isinstance(Outer.from_json(VALUE.to_json()).by_number[3], Pair)


def test_save_and_load(tmp_path):
    VALUE.save(tmp_path / "a.json")
    assert Outer.load(tmp_path / "a.json") == VALUE


def test_another_type_and_another_version_are_refused():
    with pytest.raises(ValueError, match="Expected a stored 'Inner'; got type 'Outer'"):
        Inner.from_dict(VALUE.to_dict())
    with pytest.raises(ValueError, match="A stored 'Inner' with fields .'old'. is not what this"):
        Inner.from_dict({"type": "Inner", "old": 1})
    state = VALUE.to_dict() | {"inner": {"type": "Popen", "args": "x"}}
    with pytest.raises(ValueError, match="A stored 'Popen' with fields"):
        Outer.from_dict(state)
