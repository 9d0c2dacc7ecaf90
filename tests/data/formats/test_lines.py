"""Tables and JSON lines: what ordinary libraries read is read alike; what is wrong has its line."""

import json

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sure_pyro.data.formats.errors import Problem, UnreadableError
from sure_pyro.data.formats.lines import (
    parse_json,
    read_json_lines,
    read_table,
    real_number,
    whole_number,
)

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=30)
PLAIN = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | TEXT


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5), st.booleans())
def test_tables_are_those_of_pandas(tmp_path_factory, rows, mark):
    path = tmp_path_factory.mktemp("t") / "x.csv"
    frame = pd.DataFrame(rows, columns=["a", "b"])
    frame.to_csv(path, index=False, encoding="utf-8-sig" if mark else "utf-8")
    read = [record for _, record in read_table(path, "x.csv", ["b", "a"])]
    assert read == frame.to_dict("records")


def test_lines_are_counted_through_quotes_and_blanks(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(b'a,b\n1,"x\ny"\n\n2,z,3\n\xff,5\n6,7')
    read = list(read_table(path, "x.csv", ["a"]))
    assert read == [
        (2, {"a": "1", "b": "x\ny"}),
        (5, Problem("x.csv", "it has 3 fields, the header 2", 5)),
        (6, Problem("x.csv", "it is no text in UTF-8", 6)),
        (7, {"a": "6", "b": "7"}),
    ]


def test_a_table_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("sure_pyro.data.formats.lines.MAX_ROWS", 10)
    (tmp_path / "x.csv").write_text("a\n" + "1\n" * 11)
    with pytest.raises(UnreadableError, match="it has more than 10 rows"):
        list(read_table(tmp_path / "x.csv", "x.csv", ["a"]))
    (tmp_path / "x.jsonl").write_text("{}\n" * 11)
    with pytest.raises(UnreadableError, match="it has more than 10 rows"):
        list(read_json_lines(tmp_path / "x.jsonl", "x.jsonl"))


@settings(deadline=None)
@given(
    st.recursive(PLAIN, lambda x: st.lists(x, max_size=3) | st.dictionaries(TEXT, x, max_size=3))
)
def test_json_is_that_of_the_standard_library(value):
    assert parse_json(json.dumps(value)) == value


@pytest.mark.parametrize("text", ["1.5", "-2", "+.5", "3.", "1e-3", "1E5", " 7 "])
def test_numbers(text):
    assert real_number(text, "x") == float(text)


@pytest.mark.parametrize(
    "text", ["", "nan", "Inf", "1_0", "0x1", "1,5", "\N{FULLWIDTH DIGIT ONE}", "1e9999", "--1", "."]
)
def test_what_is_no_number(text):
    with pytest.raises(UnreadableError, match="x must be a finite number; got"):
        real_number(text, "x")


@pytest.mark.parametrize("text", ["", "-1", "1.0", "1e3", "٣", "1" * 10, "1 2"])
def test_what_is_no_whole_number(text):
    assert whole_number("007", "x") == 7
    with pytest.raises(UnreadableError, match="x must be a whole number; got"):
        whole_number(text, "x")
