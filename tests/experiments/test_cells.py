"""Finished cells are not done again; a failed one does not lose the others."""

import pytest

from experiments.cells import run_cells


def square(x, log):
    with open(log, "a") as file:
        file.write(f"{x}\n")
    return {"square": x**2}


def picky(x):
    if x == 1:
        raise ValueError("not one")
    return {"x": x}


def test_what_is_finished_is_not_done_again(tmp_path):
    log = str(tmp_path / "log")
    assert run_cells(square, [(2, log), (3, log)], tmp_path) == [{"square": 4}, {"square": 9}]
    again = run_cells(square, [(3, log), (4, log)], tmp_path)
    assert again == [{"square": 9}, {"square": 16}]
    assert (tmp_path / "log").read_text().split() == ["2", "3", "4"]


def test_a_failure_is_told_after_the_others_are_kept(tmp_path):
    with pytest.raises(RuntimeError, match=r"1 of 3 cells failed:\n\(1,\): ValueError: not one"):
        run_cells(picky, [(0,), (1,), (2,)], tmp_path)
    assert len(list(tmp_path.glob("*.json"))) == 2
