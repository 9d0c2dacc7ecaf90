"""A store that is stopped anywhere goes on from there; what was written is never encoded again."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from sure_pyro.data.store import LatentStore, journal, row_blocks
from tests.data.store.conftest import ROWS, Encoder, same

QUIET = {"progress_bar": False}


def create(folder, encoder, blocks=None, **options):
    options = {"shard_rows": 10, **QUIET, **options}
    return LatentStore.create(folder, blocks or row_blocks(ROWS, 7), encoder, **options)


def whole(store, encoder):
    """The store holds every row of the encoder, to the last bit."""
    same(store.read(slice(None)), encoder.expected(store.source))
    assert sorted(store.source.tolist()) == list(range(ROWS))
    store.verify()


# -- going on -------------------------------------------------------------------------------------


@pytest.mark.parametrize("fail_at", [0, 6, 7, 30, 52])
@pytest.mark.parametrize("later", [7, 1, 13])
def test_a_row_is_encoded_once(tmp_path, encoder, fail_at, later):
    encoder.fail_at = fail_at
    with pytest.raises(KeyboardInterrupt):
        create(tmp_path, encoder)
    with pytest.raises(FileNotFoundError, match="is not finished: call `LatentStore.create` again"):
        LatentStore.open(tmp_path)
    encoder.fail_at = None
    store = create(tmp_path, encoder, row_blocks(ROWS, later))  # also in blocks of another size
    assert set(encoder.calls.values()) == {1}
    whole(store, encoder)


def test_a_finished_store_is_not_encoded_again(tmp_path, encoder):
    create(tmp_path, encoder)
    whole(create(tmp_path, encoder, shard_rows=3), encoder)
    assert set(encoder.calls.values()) == {1}
    with pytest.raises(ValueError, match=r"finished with 53 rows \(0 left out\); `blocks` has 60"):
        create(tmp_path, encoder, row_blocks(60))


class Stop(BaseException):
    """A crash."""


def crash_at(monkeypatch, step):
    """Stop at the n-th time that something is put on the disk or gets its name."""
    count = [0]

    def counted(original):
        def call(*arguments):
            count[0] += 1
            if count[0] == step:
                raise Stop
            return None if original.__name__ == "fsync" else original(*arguments)  # it is slow

        return call

    for name in ("fsync", "replace", "pwrite", "ftruncate", "unlink"):
        monkeypatch.setattr(os, name, counted(getattr(os, name)))
    return count


def test_a_crash_at_any_step_loses_no_more_than_a_block(tmp_path, monkeypatch):
    rows = 25
    reference = create(tmp_path / "reference", Encoder(rows), row_blocks(rows, 7))
    bytes_of = {path.name: path.read_bytes() for path in reference.folder.iterdir()}
    step, finished = 0, False
    while not finished:
        step += 1
        encoder, folder = Encoder(rows), tmp_path / str(step)
        with monkeypatch.context() as patch:
            crash_at(patch, step)
            try:
                create(folder, encoder, row_blocks(rows, 7))
                finished = True
            except Stop:
                pass
        create(folder, encoder, row_blocks(rows, 7))
        twice = [number for number, calls in encoder.calls.items() if calls > 1]
        assert len(twice) <= 7, step
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == bytes_of, step
    assert step > 50


def test_a_last_line_that_was_cut_off_does_not_count(tmp_path, encoder):
    encoder.fail_at = 30
    with pytest.raises(KeyboardInterrupt):
        create(tmp_path, encoder)
    path = tmp_path / journal.FILE
    path.write_bytes(path.read_bytes()[:-5])
    encoder.fail_at = None
    whole(create(tmp_path, encoder), encoder)
    assert sorted(n for n, calls in encoder.calls.items() if calls == 2) == list(range(21, 28))


def test_other_settings_are_spelled_out(tmp_path, encoder):
    encoder.fail_at = 30
    with pytest.raises(KeyboardInterrupt):
        create(tmp_path, encoder, fingerprint={"weights": "ab", "seconds": 6})
    encoder.fail_at = None
    with pytest.raises(ValueError, match=r"other settings: fingerprint.weights was 'ab', now it is "
                       r"'cd'; shard_rows was 10, now it is 20\. Go on with"):  # fmt: skip
        create(tmp_path, encoder, fingerprint={"weights": "cd", "seconds": 6}, shard_rows=20)
    finished = create(tmp_path, encoder, fingerprint={"weights": "ab", "seconds": 6})
    with pytest.raises(ValueError, match="task was None, now it is 'regression'"):
        create(
            finished.folder, encoder, fingerprint={"weights": "ab", "seconds": 6}, task="regression"
        )


def test_rows_may_come_after_the_last_shard_was_sealed(tmp_path, encoder, monkeypatch):
    """The process ended before the manifest, and the dataset has grown since."""
    with monkeypatch.context() as patch:
        patch.setattr("sure_pyro.data.store.create.Manifest", None)
        with pytest.raises(TypeError):
            create(tmp_path, encoder, row_blocks(33, 7))
    store = create(tmp_path, encoder)
    assert set(encoder.calls.values()) == {1}
    whole(store, encoder)


def test_two_processes_do_not_write_one_store(tmp_path, encoder):
    refused = pytest.raises(RuntimeError, match="Another process is writing the store")
    with journal.open_journal(tmp_path), refused:  # a lock belongs to an open file, not a process
        create(tmp_path, encoder)


def test_rows_that_can_not_be_read_are_counted_and_not_tried_again(tmp_path, encoder):
    calls = []

    def encode(numbers):
        calls.extend(numbers)
        rows = [n for n in numbers if n % 5 and n < 40]
        if 50 in numbers and calls.count(50) == 1:
            raise KeyboardInterrupt
        return encoder(rows) | {"rows": rows} if rows else None

    with pytest.raises(KeyboardInterrupt):
        create(tmp_path, encode)
    store = create(tmp_path, encode)
    expected = [n for n in range(40) if n % 5]
    assert (store.source.tolist(), store.skipped) == (expected, 21)
    same(store.read(slice(None)), encoder.expected(torch.tensor(expected)))
    assert [n for n in range(ROWS) if calls.count(n) > 1] == list(range(49, 53))


CHILD = """
import sys, time, torch
from pathlib import Path
from sure_pyro.data.store import LatentStore, row_blocks

folder = Path(sys.argv[1])

def encode(rows):
    with open(folder / "calls.txt", "a") as file:
        file.write("".join(f"{row}\\n" for row in rows))
    time.sleep(0.005)
    return {"values": {"x": torch.tensor(rows).float().unsqueeze(1).expand(-1, 1000)}}

print("ready", flush=True)
blocks = row_blocks(4000, 20)
LatentStore.create(folder / "store", blocks, encode, shard_rows=300, progress_bar=False)
print("finished", flush=True)
"""


@pytest.mark.slow
def test_kill_9_loses_no_more_than_the_block_in_work(tmp_path):
    kills = 0
    while True:
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True,
            cwd=Path(__file__).resolve().parents[3])  # fmt: skip
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.2 + 0.1 * kills)
        child.send_signal(signal.SIGKILL)
        kills += "finished" not in child.communicate()[0]
        if kills == 5 or (tmp_path / "store" / "manifest.json").exists():
            break
    subprocess.run([sys.executable, "-c", CHILD, str(tmp_path)], check=True, stdout=subprocess.PIPE,
                   cwd=Path(__file__).resolve().parents[3])  # fmt: skip
    calls = [int(line) for line in (tmp_path / "calls.txt").read_text().split()]
    twice = len(calls) - len(set(calls))
    assert kills >= 3
    assert twice <= 20 * kills  # at most the block in work, each time
    store = LatentStore.open(tmp_path / "store")
    assert store.source.tolist() == list(range(4000))
    assert (store.read(slice(None))["values"]["x"][:, 0, 7] == torch.arange(4000)).all()


# -- what encoders give ---------------------------------------------------------------------------


def test_lengths_that_differ_between_blocks_are_filled_up(tmp_path):
    lengths = [3, 2, 4]

    def encode(numbers):
        (number,) = numbers
        L = lengths[number]
        return {"values": {"x": torch.full((1, L, 2), 1.0 + number)},
                "available": torch.tensor([[number != 1]])}  # fmt: skip

    store = create(tmp_path / "a", encode, [[0], [1], [2]], lengths={"x": 4})
    rows = store.read(slice(None))
    assert store.padded == {"x"}
    assert rows["padding"]["x"].int().tolist() == [[1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1]]
    assert rows["available"]["x"].int().tolist() == [[1, 1, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1]]
    assert rows["values"]["x"][:, :, 0].tolist() == [[1, 1, 1, 0], [0, 0, 0, 0], [3, 3, 3, 3]]
    with pytest.raises(
        ValueError, match=r"values/x: float32 \(B, 2, 2\) instead of float32 \(B, 3"
    ):
        create(tmp_path / "b", encode, [[0], [1], [2]])
    with pytest.raises(ValueError, match=r"'x' have 4 tokens, the store has room for 3: give "
                       r"`lengths=\{'x': ...\}`"):  # fmt: skip
        create(tmp_path / "c", encode, [[0], [1], [2]], lengths={"x": 3})


NAN = float("nan")
Z = torch.ones(2, 3, 4)


@pytest.mark.parametrize(
    ("fields", "error", "why"),
    [
        (torch.ones(2), TypeError, "a mapping with 'values', latents by modality; got Tensor"),
        ({"x": Z}, TypeError, r"latents by modality; got \['x'\]"),
        ({"values": {}}, ValueError, "as modalities"),
        ({"values": {"x": Z}, "mask": Z}, ValueError, "got .*'mask'"),
        ({"values": {"x": Z.long()}}, TypeError, "'x' must be floating tensors; got torch.int64"),
        ({"values": {"x": Z.numpy()}}, TypeError, "must be floating tensors; got ndarray"),
        ({"values": {"x": Z[:1]}}, ValueError, r"shape \(2, D\) or \(2, L, D\); got \(1, 3, 4\)"),
        ({"values": {"x": Z[:, 0, 0]}}, ValueError, r"got \(2,\)"),
        ({"values": {"x": Z[:, :0]}}, ValueError, r"got \(2, 0, 4\)"),
        ({"values": {"a/b": Z}}, ValueError, "texts without '/'; got 'a/b'"),
        ({"values": {"x": Z * NAN}}, ValueError, r"'x' is NaN or infinite in rows 0, 1 \(2 of 2\)"),
        ({"values": {"x": Z}, "available": {"y": Z}}, ValueError, r"`available` names \['y'\]"),
        ({"values": {"x": Z}, "available": {"x": Z}}, TypeError, "of 'x' must be a bool tensor"),
        ({"values": {"x": Z}, "available": {"x": Z[:, :2, 0] > 0}}, ValueError, r"\(2, 3\); got"),
        ({"values": {"x": Z}, "padding": {"x": Z[:, 0] > 0}}, ValueError, "`padding` of 'x' must"),
        ({"values": {"x": Z}, "padding": {"x": Z[..., 0] < 0}, "available": {"x": Z[..., 0] > 0}},
         ValueError, "True where `padding` says that there is no token, in rows 0, 1"),
        ({"values": {"x": Z}, "target": torch.tensor([1.0, NAN])}, ValueError, "`target` is NaN"),
        ({"values": {"x": Z}, "target": torch.ones(3)}, ValueError, "an entry for each of 2 rows"),
        ({"values": {"x": Z}, "target": Z[:, 0, 0] > 0}, TypeError, "`target` must hold int64 or"),
        ({"values": {"x": Z}, "group": torch.ones(2)}, TypeError, "`group` must hold integers"),
        ({"values": {"x": Z}, "split": ["train", "dev"]}, ValueError, r"or None; got \['dev'\]"),
        ({"values": {"x": Z}, "rows": [0, 5]}, ValueError, "different rows of those"),
        ({"values": {"x": Z}, "rows": [0, 0]}, ValueError, "different rows of those"),
        ({"values": {"x": Z}, "rows": [0]}, ValueError, "If rows were left out, say which"),
    ],
)  # fmt: skip
def test_fields_that_do_not_fit(tmp_path, fields, error, why):
    with pytest.raises(error, match=why):
        create(tmp_path, lambda rows: fields, [[0, 1]])


def test_values_beyond_the_dtype_of_the_store(tmp_path):
    with pytest.raises(ValueError, match=r"'x' is beyond torch.float16 in rows 0, 1 \(2 of 2\)"):
        create(tmp_path, lambda rows: {"values": {"x": Z * 1e5}}, [[0, 1]], dtype=torch.float16)


@pytest.mark.parametrize(
    ("blocks", "error", "why"),
    [
        ([[0, 1], [1, 2]], ValueError, r"Rows stand twice in `blocks`: \[1\]"),
        ([[0, 0]], ValueError, "Rows stand twice"),
        ([[0.5]], TypeError, "lists of row numbers, such as"),
        ([[-1]], TypeError, "lists of row numbers"),
        ([3], TypeError, r"lists of row numbers, such as range\(0, 64\); got 3"),
        ([[]], ValueError, "No row was encoded"),
    ],
)
def test_blocks_that_do_not_fit(tmp_path, blocks, error, why):
    with pytest.raises(error, match=why):
        create(tmp_path, lambda rows: {"values": {"x": torch.ones(len(rows), 2)}}, iter(blocks))


def test_a_fingerprint_must_be_json(tmp_path, encoder):
    with pytest.raises(TypeError, match="`fingerprint` must hold JSON values only"):
        create(tmp_path, encoder, fingerprint={"net": torch.ones(2)})
