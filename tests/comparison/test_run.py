import json
from pathlib import Path

import numpy as np
import pytest

from sure_pyro import SURE, compare, data, fit
from sure_pyro.comparison import Comparison, Recipe, run
from sure_pyro.metrics.registry import COSTS

QUICK = {"fit": {"epochs": 1}, "pretraining": {"epochs": 2}, "progress_bar": False}


@pytest.fixture(scope="module")
def batch():
    return data.synthetic(120, task="classification", share=0.8, seed=0)[0]


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("compared")


@pytest.fixture(scope="module")
def result(batch, out) -> Comparison:
    return compare("elbo,sure,zero", batch, seeds=2, out=out, **QUICK)


def counted(monkeypatch):
    """Every job that is really run, by the first word of its key."""
    found = []

    def watched(jobs, workers):
        found.extend(job.key.split()[0] for job in jobs if job.function.__name__ != "_same")
        return original(jobs, workers)

    original = run.run_jobs
    monkeypatch.setattr(run, "run_jobs", watched)
    return found


def test_the_table_has_every_model_seed_and_slice(result):
    t = result.table
    assert set(t["model"]) == {"elbo", "sure", "zero"}
    assert set(t["seed"]) == {0, 1}
    assert set(t["kind"]) == {"overall", "hidden", "pattern"}
    assert set(t[t["kind"] == "hidden"]["slice"]) == {"0", "1", "2"}
    assert len(set(t[t["kind"] == "pattern"]["slice"])) == 7  # 2^3 - 1 masks
    assert not t.duplicated(["data", "model", "seed", "kind", "slice", "metric"]).any()
    overall = t[t["kind"] == "overall"]
    assert set(COSTS) <= set(overall["metric"])
    counts = t[t["metric"] == "score"].groupby(["model", "seed", "kind"])["rows"].sum().unstack()
    assert (counts["hidden"] == counts["pattern"]).all()  # both part the rows


def test_a_finished_cell_is_not_fitted_again(result, batch, out, monkeypatch):
    done = counted(monkeypatch)
    again = compare("elbo,sure,zero", batch, seeds=2, out=out, **QUICK)
    assert done == []
    assert again.table.equals(result.table)
    more = compare("elbo,sure,mean", batch, seeds=2, out=out, **QUICK)
    assert done == ["cell", "cell"]  # backbones are found again
    assert set(more.table["model"]) == {"elbo", "sure", "mean"}


@pytest.mark.parametrize(
    ("changed", "jobs"),
    [
        ({"fit": {"epochs": 2}}, ["point", "cell"]),
        ({"predict": {"propagate": "none"}}, ["cell"]),
        ({"masks": {"half": data.missing.pattern}}, ["cell"]),
        ({"seeds": [7]}, ["backbone", "point", "cell"]),
        ({"pretraining": {"epochs": 1}}, ["backbone", "point", "cell"]),
    ],
)
def test_a_changed_setting_is_not_taken_for_the_old_one(
    result, batch, out, monkeypatch, changed, jobs
):
    done = counted(monkeypatch)
    monkeypatch.setattr(
        run,
        "run_jobs",
        lambda *a: iter(
            done.extend(j.key.split()[0] for j in a[0] if j.function.__name__ != "_same") or ()
        ),
    )
    compare("elbo", batch, **{"seeds": [0], "out": out, **QUICK, **changed})
    assert done == jobs


def test_a_changed_row_is_not_taken_for_the_old_one(batch, out, result, monkeypatch):
    done = counted(monkeypatch)
    changed = batch.replace(features={**batch.features, "a": batch.features["a"] + 1e-3})
    compare("zero", changed, seeds=[0], out=out, **QUICK)
    assert done == ["backbone", "cell"]


def test_a_file_of_other_settings_is_not_read(result, batch, out, monkeypatch):
    for path in (out / "cells").glob("data-zero-0-*.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"settings": {}}))
    done = counted(monkeypatch)
    compare("zero", batch, seeds=[0], out=out, **QUICK)
    assert done == ["cell"]


def test_a_cell_that_fails_is_told_and_does_not_stop_the_others(batch):
    models = {"bad": Recipe(model={"nonsense": 1}), "zero": "zero"}
    found = compare(models, batch, seeds=1, **QUICK)
    assert set(found.table["model"]) == {"zero"}
    (failure,) = found.failures
    assert failure.model == "bad"
    assert "unexpected keyword argument 'nonsense'" in failure.reason
    assert "Failed: bad" in repr(found)
    assert "Traceback" in found.failed()["details"][0]


def test_an_interrupted_comparison_keeps_what_is_finished(batch, tmp_path, monkeypatch):
    def interrupted(jobs, workers):
        for number, pair in enumerate(original(jobs, workers)):
            if number == 3:
                raise KeyboardInterrupt
            yield pair

    original = run.run_jobs
    monkeypatch.setattr(run, "run_jobs", interrupted)
    found = compare("zero,elbo", batch, seeds=1, out=tmp_path, **QUICK)
    assert found.interrupted
    assert set(found.table["model"]) == {"zero"}
    assert "Interrupted" in repr(found)
    monkeypatch.undo()
    done = counted(monkeypatch)
    whole = compare("zero,elbo", batch, seeds=1, out=tmp_path, **QUICK)
    assert done == ["cell"]  # the point estimate had been finished
    assert set(whole.table["model"]) == {"zero", "elbo"}


def builder(train, validation, *, backbone, seed):
    model = SURE(backbone)
    fit(model, train, validation, "elbo", epochs=1, seed=seed, progress_bar=False)
    return model


def test_functions_and_fitted_models_give_the_numbers_of_a_recipe(batch, result):
    backbone = result_backbone(batch)
    train, validation, _ = batch.split(seed=0)
    model = builder(train, validation, backbone=backbone, seed=0)
    found = compare(
        {"built": builder, "fitted": model, "seeds": {0: model}}, batch, seeds=1, **QUICK
    )
    expected = result.values("nll")["elbo"][0]
    assert (found.values("nll").loc[0] == expected).all()


def test_a_guide_stands_on_the_point_estimate_that_is_shared(batch, result, out, monkeypatch):
    done = counted(monkeypatch)
    found = compare("elbo,elbo/laplace", batch, seeds=1, out=out, **QUICK)
    assert done == ["cell"]  # neither the backbone nor the point estimate is fitted again
    train, validation, test = batch.split(seed=0)
    model = SURE(result_backbone(batch))
    fit(model, train, validation, "elbo", guide="laplace", epochs=1, progress_bar=False)
    whole = compare({"whole": model}, batch, seeds=1, **QUICK)
    expected = whole.values("nll")["whole"][0]
    assert found.values("nll")["elbo/laplace"][0] == pytest.approx(expected, rel=1e-6)
    assert found.values("nll")["elbo"][0] != expected


def result_backbone(batch):
    from sure_pyro import MLPBackbone, pretrain

    train, validation, _ = batch.split(seed=0)
    backbone = MLPBackbone.for_data(train, seed=0)
    return pretrain(backbone, train, validation, epochs=2, seed=0, progress_bar=False)


def fewer(train, seed):
    return train[:40]


def test_several_datasets_transforms_and_named_masks(batch):
    regression = data.synthetic(90, seed=1)[0]
    found = compare(
        {"elbo": "elbo", "fewer": Recipe("elbo", prepare=fewer)},
        {"classes": batch.split(seed=0), "numbers": lambda seed: regression.split(seed=seed)},
        seeds=1,
        masks={
            "mild": lambda b, seed: data.missing.mcar(b, 0.1, seed),
            "harsh": lambda b, seed: data.missing.mcar(b, 0.6, seed),
        },
        **QUICK,
    )
    assert found.tasks == {"classes": "classification", "numbers": "regression"}
    assert {"nll", "ece", "brier"} <= set(found.metrics("classes"))
    assert {"nll", "crps", "coverage", "rmse"} <= set(found.metrics("numbers"))
    mild, harsh = (
        found.values("reconstruction_error", "classes", "mask", name) for name in ("mild", "harsh")
    )
    assert (mild.columns == ["elbo", "fewer"]).all()
    assert (mild["elbo"] != mild["fewer"]).all()
    assert np.isfinite(harsh).all().all()
    with pytest.raises(ValueError, match="`data` must be one of"):
        found.values("nll")


@pytest.mark.slow
def test_two_processes_give_the_numbers_of_one(batch, result):
    found = compare("elbo,sure,zero", batch, seeds=2, workers=2, **QUICK)
    costs = result.table["metric"].isin(COSTS)
    assert not found.failures
    assert found.table[~costs].equals(result.table[~costs])


@pytest.mark.parametrize(
    ("models", "rows", "options", "words"),
    [
        ("nonsense", None, {}, "There is no model 'nonsense'"),
        ("", None, {}, "`models` is empty"),
        ([1], None, {}, "`models` must be names"),
        ({"a": 3}, None, {}, "A model must be a name"),
        ("elbo", 3, {}, "`data` must be a name"),
        ("elbo", {}, {}, "`data` is an empty mapping"),
        ("elbo", None, {"reference": "sure"}, "`reference` must be one of"),
        ("elbo", None, {"seeds": 0}, "`seeds` needs at least one"),
        ("elbo", None, {"seeds": [1, 1]}, "`seeds` needs at least one seed, each once"),
        ("elbo", None, {"workers": 0}, "`workers` must be at least 1"),
        ("elbo", None, {"backbone": "vgg"}, "`backbone` must be one of"),
    ],
)
def test_wrong_input(batch, models, rows, options, words):
    with pytest.raises(ValueError, match=words):
        compare(models, batch if rows is None else rows, **options)


def test_data_that_can_not_be_compared_on(batch):
    with pytest.raises(ValueError, match="has no targets"):
        compare("elbo", batch.replace(target=None, task=None, class_names=None))
    one = data.from_arrays({"a": np.zeros((20, 2))}, np.arange(20) % 2)
    with pytest.raises(ValueError, match="at least two modalities"):
        compare("elbo", one)


def test_files_are_whole_or_not_there(result, out):
    left = [p for p in Path(out).rglob("*") if ".tmp" in p.name]
    assert left == []
