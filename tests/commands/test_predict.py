"""The table of predictions: its two formats, its columns, and that it goes on where it stopped."""

import importlib.util
import json

import numpy as np
import pandas as pd
import pytest
import torch

from sure_pyro import __main__ as command
from sure_pyro.commands import predict
from sure_pyro.models import SURE
from tests.data.formats import small


def run(*arguments):
    return command.main([str(a) for a in arguments])


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """Run folder of a tiny MMBT, fitted; its seven rows have three mask patterns."""
    folder = tmp_path_factory.mktemp("predict")
    data = small.mm_imdb(folder / "data")
    options = ["--system", "mmbt", "--tiny", "--quiet", "--data"]
    assert run("encode", folder / "run", *options, data) == 0
    assert run("fit", folder / "run", "--epochs", 1, "--quiet") == 0
    return folder / "run"


@pytest.fixture
def blocks_of_three(monkeypatch):
    monkeypatch.setattr(predict, "BLOCK", 3)


SAMPLING = ["--part", "all", "--propagate", "sampling", "--num-samples", 20, "--quiet"]


def test_parquet_and_csv_hold_the_same_and_parquet_keeps_the_types(fitted, blocks_of_three):
    assert run("predict", fitted, *SAMPLING, "--format", "parquet") == 0
    assert run("predict", fitted, *SAMPLING, "--format", "csv") == 0
    table = pd.read_parquet(fitted / "predictions.parquet")
    text = pd.read_csv(fitted / "predictions.csv", dtype={"id": str})
    names = [name for name in table if table[name].dtype == np.float32]
    assert list(table) == list(text)
    kept = table.drop(columns=names)
    pd.testing.assert_frame_equal(kept, text[list(kept)])
    for name in names:  # the shortest decimals that give the same single precision
        assert (text[name].astype(np.float32) == table[name]).all(), name
    assert set(names) >= {"mean", "sd", "variance/text", "variance/head", "variance/total"}
    assert table["row"].dtype == np.int64
    assert table["id"].tolist()[:2] == ["0000001"] * 2  # with its zeros
    assert table["output"].unique().tolist() == ["Romance", "Drama", "Crime", "Comedy", "Sci-Fi"]
    assert set(table["mask_pattern"]) == {"text", "text+image"}


def test_a_row_group_for_each_block(fitted, blocks_of_three):
    parquet = pytest.importorskip("pyarrow.parquet")
    assert run("predict", fitted, *SAMPLING, "--format", "parquet") == 0
    file = parquet.ParquetFile(fitted / "predictions.parquet")
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [15, 15, 5]
    assert not (fitted / "predictions.parts").exists()


def test_columns_do_not_follow_from_what_a_block_lacks(fitted, monkeypatch):
    columns = []
    for size in (1, 100):
        monkeypatch.setattr(predict, "BLOCK", size)
        assert run("predict", fitted, *SAMPLING) == 0
        columns.append(list(pd.read_csv(fitted / "predictions.csv")))
    assert columns[0] == columns[1]
    sources = [c.removeprefix("variance/") for c in columns[0] if c.startswith("variance/")]
    assert sources == ["text", "image", "interaction", "head", "total"]


def test_without_pyarrow_parquet_is_refused_before_anything_is_computed(
    fitted, monkeypatch, capsys
):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "pyarrow" else found(name)
    )
    assert run("predict", fitted, "--format", "parquet") == 2
    assert "needs pyarrow: pip install 'sure-pyro[parquet]'" in capsys.readouterr().err


class Interrupted:
    """`SURE.predict` that is interrupted at its n-th call, and counts them."""

    def __init__(self, monkeypatch, at):
        self.calls, self.at = 0, at
        original = SURE.predict

        def call(model, *arguments, **options):
            self.calls += 1
            if self.calls == self.at:
                raise KeyboardInterrupt
            return original(model, *arguments, **options)

        monkeypatch.setattr(SURE, "predict", call)


BOTH = ["--part", "all", "--propagate", "both", "--num-samples", 20]


def test_an_interrupted_table_goes_on_to_the_same_bits(
    fitted, blocks_of_three, monkeypatch, capsys
):
    file = fitted / "predictions.csv"
    assert run("predict", fitted, *BOTH) == 0
    whole, said = file.read_bytes(), capsys.readouterr().out
    assert "Taylor against 20 draws" in said
    with monkeypatch.context() as patch:
        Interrupted(patch, 2)
        file.unlink()
        assert run("predict", fitted, *BOTH) == 130
        assert "Run it again to go on." in capsys.readouterr().err
        assert not file.exists()
    with monkeypatch.context() as patch:
        rest = Interrupted(patch, None)
        assert run("predict", fitted, *BOTH) == 0
        assert rest.calls == 2  # of three blocks
    assert file.read_bytes() == whole
    assert capsys.readouterr().out == said


def test_what_was_begun_with_other_settings_or_weights_is_done_anew(
    fitted, blocks_of_three, monkeypatch
):
    def calls_of(at, *options):
        with monkeypatch.context() as patch:
            counted = Interrupted(patch, at)
            done = run("predict", fitted, "--part", "all", "--quiet", *options)
            assert done == (0 if at is None else 130)
            return counted.calls

    assert calls_of(3) == 3
    assert calls_of(3, "--hide", "image") == 3  # anew, and so is the next
    assert calls_of(3) == 3
    weights = fitted / "model" / "weights.safetensors"
    kept = weights.read_bytes()
    weights.write_bytes(kept[:-4] + torch.ones(1).numpy().tobytes())
    try:
        assert calls_of(3) == 3
    finally:
        weights.write_bytes(kept)
    assert calls_of(None) == 3
    assert calls_of(3) == 3
    assert calls_of(None) == 1


def test_the_settings_of_a_table_are_kept(fitted):
    assert run("predict", fitted, *SAMPLING, "--format", "parquet") == 0
    settings = json.loads((fitted / "settings.json").read_text())["predict"]
    assert (settings["format"], settings["propagate"]) == ("parquet", "sampling")
