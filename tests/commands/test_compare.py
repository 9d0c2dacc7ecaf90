import json

import pandas as pd
import pytest
import xarray as xr

from sure_pyro import __main__ as command
from sure_pyro.comparison import cell
from sure_pyro.data import save_npz, synthetic

ONCE = ["--seeds", "1", "--epochs", "1", "--workers", "1"]


def run(*arguments):
    return command.main(["compare", *(str(a) for a in arguments)])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    save_npz(folder / "one.npz", synthetic(90, seed=0)[0])
    save_npz(folder / "two.npz", synthetic(90, seed=1, task="classification")[0])
    return f"{folder / 'one.npz'},{folder / 'two.npz'}"


def test_two_files_become_tables_pictures_and_a_page(files, tmp_path, capsys):
    arguments = ["--data", files, "--models", "elbo,mean", *ONCE, "--out", tmp_path]
    assert run(*arguments) == 0
    printed = capsys.readouterr().out
    assert "R²" in printed
    assert "accuracy" in printed
    assert "One seed only" in printed
    table = pd.read_csv(tmp_path / "table.csv")
    assert set(table["model"]) == {"elbo", "mean"}
    with xr.open_dataset(tmp_path / "comparison.nc") as found:
        assert found["nll"].dims == ("data", "model", "seed", "slice")
        assert found["task"].values.tolist() == ["regression", "classification"]
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert page.count("<img") == 2
    assert "comparison-two.png" in (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert (tmp_path / "comparison-one.png").stat().st_size > 10_000
    about = json.loads((tmp_path / "run.json").read_text())
    assert about["command"].startswith("python -m sure_pyro compare --data")
    assert run(*arguments, "--quiet") == 0
    assert capsys.readouterr().out == ""


def test_a_failed_cell_is_status_one(files, tmp_path, monkeypatch, capsys):
    def broken(*arguments):
        raise RuntimeError("no memory")

    monkeypatch.setattr(cell, "evaluate_filling", broken)
    assert run("--data", files, "--models", "mean", *ONCE, "--out", tmp_path) == 1
    assert "Failed: mean on one, seed 0: RuntimeError: no memory" in capsys.readouterr().out


def test_an_interruption_is_status_130(files, tmp_path, monkeypatch, capsys):
    def stopped(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(cell, "evaluate_filling", stopped)
    assert run("--data", files, "--models", "mean", *ONCE, "--out", tmp_path, "--quiet") == 130
    assert "run it again to go on" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--models", "fly"], "There is no model 'fly'"), (["--data", "x.npz"], "There is no file")],
)
def test_wrong_input_is_one_line(arguments, words, capsys, tmp_path):
    assert run(*arguments, "--out", tmp_path) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
