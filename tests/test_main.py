import subprocess
import sys

import pytest
import torch

from sure_pyro import __main__ as command
from sure_pyro.commands import demo
from sure_pyro.data import save_npz, synthetic


def run(*arguments):
    return command.main([str(a) for a in arguments])


def test_a_small_file_becomes_a_report(tmp_path, capsys):
    batch, _ = synthetic(90, seed=0)
    save_npz(tmp_path / "small.npz", batch)
    out = tmp_path / "report"
    options = ["--epochs", "2", "--objectives", "elbo", "--seed", "3"]
    assert run("demo", "--data", tmp_path / "small.npz", "--out", out, *options) == 0
    printed = capsys.readouterr().out
    assert "May I trust the reconstructions?" in printed
    assert f"The report is in {out / 'index.html'}." in printed
    assert "--seed 3" in (out / "run.json").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "nowhere.npz"], "There is no file nowhere.npz"),
        (["--data", __file__], "is no .npz file"),
    ],
)
def test_wrong_input_is_one_line_and_no_traceback(arguments, words, capsys, tmp_path):
    assert run("demo", *arguments, "--out", tmp_path) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["demo", "--objectives", "sure,other"], "must be some of sure,elbo,elbo+pcc"),
        (["demo", "--epochs", "0"], "must be at least 1"),
        (["fly"], "invalid choice"),
        ([], "required"),
    ],
)
def test_wrong_arguments(arguments, words, capsys):
    with pytest.raises(SystemExit):
        run(*arguments)
    assert words in capsys.readouterr().err


def test_an_interruption_says_what_is_left(monkeypatch, capsys):
    def stop(*_):
        raise KeyboardInterrupt("What is fitted is in report/models.")

    monkeypatch.setattr(demo, "demo", stop)
    assert run("demo") == 130
    assert "Interrupted. What is fitted is in report/models." in capsys.readouterr().err


def test_threads_are_given_back(monkeypatch):
    seen = []
    monkeypatch.setattr(demo, "demo", lambda *_: seen.append(torch.get_num_threads()) or "")
    torch.set_num_threads(2)
    assert run("demo", "--quiet") == 0
    assert seen == [1]
    assert torch.get_num_threads() == 2


@pytest.mark.slow
def test_the_module_runs_by_name():
    done = subprocess.run(
        [sys.executable, "-m", "sure_pyro", "demo", "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "--objectives" in done.stdout
