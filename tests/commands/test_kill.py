"""Commands that are killed in a child process go on to the same bits when they are given again."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sure_pyro import __main__ as command
from tests.data.formats import small

ROOT = Path(__file__).resolve().parents[2]
CLIPS = 600
pytestmark = pytest.mark.slow


def run(*arguments):
    assert command.main([*map(str, arguments), "--quiet"]) == 0


def killed(begun, *arguments):
    """Start a command, and send it SIGKILL as soon as `begun` says that a part is done."""
    child = subprocess.Popen(
        [sys.executable, "-m", "sure_pyro", *map(str, arguments), "--quiet"], cwd=ROOT
    )
    end = time.monotonic() + 300
    while not begun() and child.poll() is None and time.monotonic() < end:
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL, "it ended by itself: nothing was interrupted"


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Six hundred clips of a hundred videos, so that each command has several parts to do."""
    folder = tmp_path_factory.mktemp("data")
    rows = [
        (
            f"v{i // 6}",
            i % 6,
            f"CLIP {i} IS {'BAD' if i % 3 else 'GOOD'}",
            i % 7 / 3 - 1,
            ("train", "train", "valid", "test")[i // 6 % 4],
        )
        for i in range(CLIPS)
    ]
    small.write_table(folder / "label.csv", ["video_id", "clip_id", "text", "label", "mode"], rows)
    draw = small.np.random.default_rng(0)
    for video, clip, *_ in rows:
        small.write_wav(folder / "wav" / video / f"{clip}.wav", draw.uniform(-0.5, 0.5, 800))
    return folder


@pytest.fixture(scope="module")
def encode(data):
    return ["--system", "mmml", "--variant", "concatenation", "--tiny", "--data", data]


@pytest.fixture(scope="module")
def whole(encode, tmp_path_factory):
    """A run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run("encode", folder, *encode)
    run("fit", folder, *FIT)
    run("predict", folder, *PREDICT)
    return folder


FIT = ["--epochs", 40]
PREDICT = ["--part", "all", "--propagate", "sampling", "--num-samples", 2000, "--hide", "audio"]


def test_killed_commands_go_on_to_the_same_bits(whole, encode, tmp_path):
    folder = tmp_path / "run"
    journal = folder / "store" / "unfinished.jsonl"
    killed(
        lambda: journal.is_file() and journal.read_bytes().count(b'"done"') > 2,
        "encode",
        folder,
        *encode,
    )
    assert not (folder / "store" / "manifest.json").exists()
    run("encode", folder, *encode)
    assert contents(folder / "store") == contents(whole / "store")

    killed((folder / "fit.checkpoint").is_file, "fit", folder, *FIT)
    assert not (folder / "model").exists()
    run("fit", folder, *FIT)
    assert contents(folder / "model") == contents(whole / "model")

    killed(lambda: any(folder.glob("predictions.parts/*.csv")), "predict", folder, *PREDICT)
    assert not (folder / "predictions.csv").exists()
    run("predict", folder, *PREDICT)
    assert (folder / "predictions.csv").read_bytes() == (whole / "predictions.csv").read_bytes()
    assert not (folder / "predictions.parts").exists()
