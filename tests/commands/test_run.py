"""From files in the true formats to a table of predictions, on the command line."""

import json

import pandas as pd
import pytest
import torch

import sure_pyro as sp
from sure_pyro import __main__ as command
from sure_pyro.commands import predict
from sure_pyro.commands.run_folder import RunFolder
from tests.commands.official import CHECKPOINTS, HIDDEN
from tests.data.formats import small


def run(*arguments):
    return command.main([str(a) for a in arguments])


SYSTEMS = {
    "mmml": (small.mosi, ["--variant", "concatenation"]),
    "mmbt": (small.mm_imdb, ["--num-image-embeds", 2]),
    "hamlet": (small.mmact, []),
}


@pytest.fixture
def encoded(tmp_path):
    def encode(system, *more):
        write, options = SYSTEMS[system]
        folder = tmp_path / "run"
        data = write(tmp_path / "data")
        options = [*options, "--tiny", "--quiet", *more]
        assert run("encode", folder, "--system", system, "--data", data, *options) == 0
        return folder

    return encode


def to_the_end(folder, system, capsys):
    """Fit, calibrate and predict in a folder where a system was encoded; the table."""
    hidden = HIDDEN[system]
    assert run("fit", folder, "--epochs", 1, "--quiet") == 0
    assert run("calibrate", folder, "--propagate", "both", "--num-samples", 20, "--quiet") == 0
    assert capsys.readouterr().out == ""
    options = ["--part", "test", "--propagate", "both", "--num-samples", "50", "--hide"]
    assert run("predict", folder, *options, hidden) == 0
    assert "Taylor against 50 draws" in capsys.readouterr().out
    assert (folder / "history.csv").is_file()
    table = pd.read_csv(folder / "predictions.csv", dtype={"id": str})
    ids = json.loads((folder / "ids.json").read_text())
    assert [ids[row] for row in table["row"]] == table["id"].tolist()
    variance = table.filter(like="variance/").drop(columns="variance/total")
    assert variance.sum(axis=1).to_numpy() == pytest.approx(table["variance/total"], rel=1e-4)
    assert (table["sd"] ** 2).to_numpy() == pytest.approx(table["variance/total"], rel=1e-4)
    gone = ~table["mask_pattern"].str.contains(hidden)
    assert gone.any()
    assert (table.loc[gone, f"variance/{hidden}"] > 0).all()
    within_the_cross_check(RunFolder(folder), hidden)
    return table


def within_the_cross_check(run, hidden):
    """Total variances of a run's model: weights are random, so the sources alone are far off."""
    rows = run.part("all", run.seed).batch()
    gappy = sp.missing.pattern(rows, [n for n in rows.modalities if n != hidden], keep_one=False)
    prediction = run.load_model().predict(gappy, "both", num_samples=1000)
    table = prediction.cross_check().to_dataframe()
    assert (table.loc["total", "verdict"] == "agree").all()


@pytest.mark.filterwarnings("ignore:All rows of `validation` are of one group")
@pytest.mark.parametrize("system", CHECKPOINTS)
def test_from_files_and_an_official_checkpoint_to_predictions(system, tmp_path, capsys):
    network, data, options = CHECKPOINTS[system](tmp_path)
    folder = tmp_path / "run"
    assert run("encode", folder, "--system", system, "--data", data, "--quiet", *options) == 0
    options[1].unlink()  # the run needs its checkpoint no more
    again = RunFolder(folder).load_backbone()
    assert again.state_dict().keys() == network.state_dict().keys()
    for name, tensor in network.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    to_the_end(folder, system, capsys)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:All rows of `validation` are of one group")  # of so few
def test_a_tiny_system_from_videos_and_sensors_to_predictions(encoded, capsys):
    table = to_the_end(encoded("hamlet"), "hamlet", capsys)
    assert "variance/rgb" in table


def test_settings_of_a_run_reproduce_it_and_the_command_line_wins(encoded, tmp_path):
    folder = encoded("mmml")
    assert run("fit", folder, "--epochs", 1, "--seed", 4, "--quiet") == 0
    first = (folder / "model" / "weights.safetensors").read_bytes()
    settings = folder / "settings.json"
    assert json.loads(settings.read_text())["encode"]["system"] == "mmml"
    again, other = tmp_path / "again", tmp_path / "other"
    for new in (again, other):
        assert run("encode", new, "--settings", settings, "--quiet") == 0
    assert run("fit", again, "--settings", settings, "--quiet") == 0
    assert (again / "model" / "weights.safetensors").read_bytes() == first
    assert run("fit", other, f"--settings={settings}", "--seed", 5, "--quiet") == 0
    assert (other / "model" / "weights.safetensors").read_bytes() != first


def test_a_flat_file_of_options_and_a_second_fit(encoded, tmp_path, capsys, monkeypatch):
    folder = encoded("mmbt")
    options = tmp_path / "options.json"
    options.write_text(json.dumps({"epochs": 1, "batch_size": 4, "lr": 1e-3, "quiet": True}))
    assert run("fit", folder, "--settings", options) == 0
    assert run("calibrate", folder, "--quiet") == 0
    assert run("fit", folder, "--settings", options) == 0  # finished: nothing is done anew
    assert len(pd.read_csv(folder / "history.csv")) == 2
    assert (folder / "calibrated").is_dir()
    assert run("fit", folder, "--settings", options, "--epochs", 2) == 0  # goes on
    assert len(pd.read_csv(folder / "history.csv")) == 4
    assert not (folder / "calibrated").exists()  # it was for other weights
    options.write_text(json.dumps({"hide": ["text"], "part": "all"}))
    monkeypatch.setattr(predict, "BLOCK", 3)
    both = ["--propagate", "both", "--num-samples", "30"]
    assert run("predict", folder, "--settings", options, *both) == 0
    assert capsys.readouterr().out.count("Taylor against 30 draws") == 1
    table = pd.read_csv(folder / "predictions.csv")
    assert table["row"].unique().tolist() == list(range(7))
    assert table["target"].isin([0, 1]).all()


@pytest.mark.filterwarnings("ignore:All rows of `validation` are of one group")
def test_errors_of_the_order_and_of_options_are_one_line(encoded, tmp_path, capsys):
    folder = encoded("mmml")
    data = tmp_path / "data"
    assert run("fit", folder, "--epochs", 1, "--quiet") == 0
    assert run("calibrate", folder, "--quiet") == 0
    again = ["encode", folder, "--data", data, "--system", "mmml", "--tiny"]
    fresh = ["encode", tmp_path / "new", "--data", data]
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    for arguments, words in [
        (["fit", tmp_path / "new"], "run `sure-pyro encode"),
        (["predict", tmp_path / "new"], "run `sure-pyro fit"),
        (["calibrate", tmp_path / "new"], "run `sure-pyro fit"),
        (["fit", folder, "--epochs", 1, "--seed", 1], "seed"),
        (["fit", folder, "--objective", "fly"], "fly"),
        (["fit", folder, "--settings", broken], "are no JSON"),
        (["predict", folder, "--propagate", "both"], "was not calibrated for this method"),
        (["predict", folder, "--hide", "video"], "must be some, not all, of text, audio"),
        (["predict", folder, "--hide", "text,audio"], "must be some, not all"),
        (again, "variant 'concatenation', now 'cross_modal_context'"),
        ([*fresh, "--system", "mmml"], "either `--checkpoint FILE` or `--tiny`"),
        ([*fresh, "--system", "mmml", "--tiny", "--variant", "v9"], "must be one of concatenation"),
        ([*fresh, "--system", "mmbt", "--tiny", "--dataset", "mosi"], "reads mm-imdb; got mosi"),
        ([*fresh, "--system", "mmbt", "--tiny"], "train.jsonl"),
        ([*fresh, "--system", "hamlet", "--tiny"], "gyro_clip/: there is no such folder\n"),
        ([*fresh, "--system", "mmml", "--tiny", "--config", broken], "`--config` goes with"),
        ([*fresh, "--system", "mmml", "--checkpoint", broken, "--config", broken], "no sizes of"),
        ([*fresh, "--system", "mmml", "--checkpoint", tmp_path / "x.pth"], "`--checkpoint` names"),
    ]:
        assert run(*arguments) == 2, arguments
        error = capsys.readouterr().err
        assert words in error
        assert error.startswith("sure-pyro: ")
        assert error.count("\n") == 1 or "How to get it:" in error


def test_help_tells_the_order(capsys):
    with pytest.raises(SystemExit):
        run("--help")
    printed = capsys.readouterr().out
    places = [printed.index(f"  {name} RUN") for name in ("encode", "fit", "calibrate", "predict")]
    assert places == sorted(places)
