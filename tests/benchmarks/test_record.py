import json
import math

import pytest
import torch
from safetensors.torch import save_file

from benchmarks.record import differences


@pytest.fixture
def found(tmp_path):
    """What differs between two records, by entry."""

    def compare(before, after, table=((1.0, "x"), (None, "y")), later=None):
        for name, tensors, rows in (("old", before, table), ("new", after, later or table)):
            (tmp_path / name).mkdir()
            save_file(tensors, tmp_path / name / "tensors.safetensors")
            stored = {"t": {"columns": ["a", "b"], "data": rows}}
            (tmp_path / name / "tables.json").write_text(json.dumps(stored))
        lines = differences(tmp_path / "old", tmp_path / "new").to_dict("records")
        return {line["entry"]: (line["what"], line["difference"]) for line in lines}

    return compare


def test_what_is_the_same_bit_for_bit_is_not_named(found):
    x = torch.tensor([1.0, math.nan, math.inf])
    assert found({"x": x}, {"x": x.clone()}) == {}


def test_difference_is_relative_to_the_largest_number(found):
    x = torch.tensor([0.0, 4.0])
    assert found({"x": x}, {"x": x + 1}) == {"x": ("differs, relative to the largest", 0.25)}


def test_the_last_bit_counts(found):
    x = torch.tensor([0.0, 4.0])
    scalar = torch.tensor(4.0)
    lines = found({"x": x, "s": scalar}, {"x": x.nextafter(x + 1), "s": scalar.nextafter(x[0])})
    assert lines.keys() == {"x", "s"}


def test_a_line_of_a_table_is_known_by_its_text(found):
    table = ((1.0, "x"), (2.0, "y"), (3.0, "y"))
    later = ((0.0, "new"), (1.0, "x"), (2.0, "y"), (4.0, "y"))
    lines = found({}, {}, table, later)
    assert lines.pop("t[a] y") == ("differs, relative to the largest", 1 / 3)
    assert {what for what, _ in lines.values()} == {"only after"}
    assert lines.keys() == {"t[a] new", "t[rows_alike] new"}


def test_numbers_that_were_lost_and_lines_that_were_added_show(found):
    lines = found({}, {}, ((1.0, "x"), (1.0, "y")), ((None, "x"), (1.0, "y"), (1.0, "y")))
    assert lines["t[a] x"][0] == "not finite in other places"
    assert lines["t[a] y"][0] == "of shape (1,) before, (2,) after"


def test_renamed_entry_is_found_by_its_bits(found):
    old = {"a": torch.ones(2), "b": torch.zeros(2)}
    new = {"c": torch.ones(2), "d": torch.ones(3)}
    kinds = {entry: what for entry, (what, _) in found(old, new).items()}
    assert kinds == {"a": "now c", "b": "only before", "d": "only after"}
