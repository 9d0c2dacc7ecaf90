import json

import numpy as np
import pandas as pd
import pytest

from sure_pyro import SURE
from sure_pyro.data import Batch, load, load_masks, save_npz
from sure_pyro.report import demo
from sure_pyro.report.run import write_report
from sure_pyro.report.study import Settings

FILES = {
    "index.html",
    "summary.md",
    "run.json",
    "metrics.csv",
    "reconstructability.csv",
    "objectives.csv",
    "history.csv",
    "masks.npz",
    "report.nc",
}


@pytest.fixture(scope="module")
def out(study, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    (folder / "examples_1.png").touch()  # of an earlier run on other data
    write_report(study, folder, "sure-pyro demo", {"fit": 1.0})
    return folder


def test_everything_is_there_and_nothing_else(out):
    names = {path.name for path in out.iterdir()}
    pictures = {name for name in names if name.endswith(".png")}
    assert names - pictures == FILES
    assert "examples_1.png" not in pictures
    assert {"examples.png", "correlation_epochs.png", "risk_coverage.png"} <= pictures


def test_the_page_is_self_contained_and_ends_with_where_it_comes_from(out, study):
    html = (out / "index.html").read_text(encoding="utf-8")
    assert html.count("data:image/png") == len(list(out.glob("*.png")))
    assert "sure-pyro demo" in html
    assert "What to conclude" in html
    assert all(note in html for note in study.parts.notes)


def test_the_table_holds_what_was_measured(out, study):
    metrics = pd.read_csv(out / "metrics.csv")
    line = metrics[(metrics.hidden == "random") & (metrics.quantity == "sure")]
    assert line.value.item() == study.evidence.random.task.sure
    assert set(metrics.hidden) == {"0", "1", "2", "random"}
    assert set(pd.read_csv(out / "history.csv").objective) == {"elbo", "elbo+pcc"}
    assert set(pd.read_csv(out / "reconstructability.csv").modality) == {"a", "b", "c"}


def test_the_masks_can_be_applied_again(out, study):
    masks = load_masks(out / "masks.npz")
    applied = masks.apply(Batch.cat([study.parts.test] * 3))
    np.testing.assert_array_equal(applied.available, study.masked.batch.available)


def test_run_json(out):
    run = json.loads((out / "run.json").read_text())
    assert run["command"] == "sure-pyro demo"
    assert run["rows"]["test"] > 0
    assert {"versions", "commit", "machine", "seconds", "seed"} <= set(run)


def test_the_arviz_file_is_complete(out, study):
    import xarray as xr

    with xr.open_dataset(out / "report.nc", group="observed_data") as observed:
        assert observed.sizes["row"] == len(study.parts.test)


def test_the_whole_way_on_some_digits(tmp_path):
    save_npz(tmp_path / "some.npz", load("digits")[:150])
    settings = Settings(tmp_path / "some.npz", epochs=1, num_samples=20, quiet=True)
    text = demo(settings, tmp_path / "report")
    assert text.count("**") == 10
    names = {path.name for path in (tmp_path / "report").iterdir()}
    assert {f"examples_{k}.png" for k in (1, 2, 3)} <= names
    model = SURE.load(tmp_path / "report" / "models" / "sure")
    assert model.initialized


def test_an_interruption_keeps_what_is_fitted(study, tmp_path, monkeypatch):
    study.models["elbo"].history.interrupted = True
    monkeypatch.setattr("sure_pyro.report.run.fit_models", lambda *_: study.models)
    try:
        with pytest.raises(KeyboardInterrupt, match="What is fitted is in"):
            demo(study.settings, tmp_path)
    finally:
        study.models["elbo"].history.interrupted = False
    assert SURE.load(tmp_path / "models" / "elbo").initialized
