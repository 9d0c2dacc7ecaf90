"""One message for everything that is wrong, fit for a terminal and for another process."""

import pickle

import pytest

from sure_pyro.data.formats.errors import (
    KEPT,
    DatasetError,
    Findings,
    Format,
    Problem,
    printable,
)

FORM = Format("Dataset X", "a.csv   a table\nb/      pictures", "ask for it.")


def test_the_message_says_what_where_and_what_to_do():
    error = DatasetError(FORM, "/data/x", [Problem("a.csv", "is red", 3), Problem("b/", "is blue")])
    assert str(error) == (
        "Dataset X can not be read from /data/x: 2 problems.\n"
        "  a.csv, line 3: is red\n"
        "  b/: is blue\n"
        "Expected there:\n  a.csv   a table\n  b/      pictures\n"
        "How to get it: ask for it."
    )


def test_an_error_comes_whole_out_of_another_process():
    error = DatasetError(FORM, "/data/x", [Problem("a.csv", "is red", 3)])
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.problems) == (str(error), error.problems)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("häßlich 猫", "häßlich 猫"),
        ("a\x1b[31mb\r\n", "a\\x1b[31mb\\r\\n"),
        ("\u202eevil", "\\u202eevil"),
        ("\udcff", "\\udcff"),
        ("x" * 300, "x" * 200 + "..."),
    ],
)
def test_text_of_a_file_is_shown_without_what_is_invisible(text, shown):
    assert printable(text) == shown


def test_rows_are_counted_and_the_first_are_kept():
    findings = Findings(FORM, "x", "skip")
    for i in range(KEPT + 500):
        findings.row(Problem("a.csv", "no", i))
    findings.settle()
    assert (findings.count, len(findings.rows)) == (KEPT + 500, KEPT)


def test_a_thousand_problems_are_enough_to_stop():
    findings = Findings(FORM, "x", "error")
    for i in range(KEPT):
        findings.row(Problem("a.csv", "no", i))
    with pytest.raises(DatasetError, match="1000 problems"):
        findings.row(Problem("a.csv", "no", KEPT))


def test_what_is_wrong_as_a_whole_is_never_skipped():
    findings = Findings(FORM, "x", "skip")
    findings.whole.append(Problem("a.csv", "no table"))
    with pytest.raises(DatasetError, match="no table"):
        findings.settle()
