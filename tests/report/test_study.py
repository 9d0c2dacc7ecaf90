import numpy as np
import pytest
import torch

from sure_pyro.data import from_arrays, save_npz
from sure_pyro.report.study import Settings, evaluate, fit_models, load_parts


def written(path, batch):
    save_npz(path, batch)
    return Settings(path, epochs=1, objectives=("elbo",), num_samples=10, quiet=True)


def test_the_main_objective_is_elbo_pcc_or_the_last():
    assert Settings().main == "elbo+pcc"
    assert Settings(objectives=("elbo+pcc", "sure")).main == "elbo+pcc"
    assert Settings(objectives=("elbo", "sure")).main == "sure"


def test_digits_are_the_default():
    parts = load_parts(Settings())
    assert parts.name == "digits"
    assert len(parts.test.modalities) == 4
    assert parts.notes == ()


def test_what_is_missing_in_the_data_is_said(tmp_path):
    rng = np.random.default_rng(0)
    x = {"a": rng.normal(size=(40, 3)), "b": rng.normal(size=(40, 2))}
    x["a"][:4] = np.nan  # absent
    x["b"][10:13, 0] = np.nan  # in part
    settings = written(tmp_path / "gaps.npz", from_arrays(x, rng.normal(size=40), nan="missing"))
    parts = load_parts(settings)
    assert parts.name == "gaps"
    assert parts.notes[0].startswith("b was recorded only in part in 3 rows")
    assert "a in 10.0% of the rows, b in 7.5% of the rows" in parts.notes[1]


def test_one_backbone_for_all_models(study):
    backbones = {id(fitted.model.backbone) for fitted in study.models.values()}
    assert len(backbones) == 1
    assert list(study.models) == ["elbo", "elbo+pcc"]


def test_the_same_seed_gives_the_same_numbers_and_the_global_generator_is_left_alone(study):
    before = torch.get_rng_state()
    parts = load_parts(study.settings)
    again = evaluate(parts, fit_models(parts, study.settings), study.settings)
    assert again.evidence == study.evidence
    assert torch.equal(before, torch.get_rng_state())


def test_new_groups_are_seen(tmp_path):
    rng = np.random.default_rng(0)
    x = {"a": rng.normal(size=(60, 3)), "b": rng.normal(size=(60, 2))}
    group, test = np.arange(60) // 10, np.arange(60) >= 40
    for known, groups in ((False, group), (True, group % 2)):
        batch = from_arrays(x, rng.normal(size=60), group=groups, test=test)
        settings = written(tmp_path / "g.npz", batch)
        parts = load_parts(settings)
        evidence = evaluate(parts, fit_models(parts, settings), settings).evidence
        assert evidence.new_groups is not known
        assert evidence.test_groups == 2


def test_several_outputs_and_labels_run_through(tmp_path):
    rng = np.random.default_rng(0)
    x = {"a": rng.normal(size=(60, 3)), "b": rng.normal(size=(60, 4, 2))}
    for target in (rng.normal(size=(60, 2)), rng.integers(0, 2, (60, 3)).astype(float)):
        settings = written(tmp_path / "many.npz", from_arrays(x, target))
        parts = load_parts(settings)
        found = evaluate(parts, fit_models(parts, settings), settings)
        assert found.evidence.random.task.second["full"] >= 0
        assert all(r.between is None for r in found.evidence.targets.values())


def test_errors(tmp_path):
    x = {"a": np.zeros((20, 2)), "b": np.zeros((20, 2))}
    with pytest.raises(ValueError, match="has no targets"):
        load_parts(written(tmp_path / "x.npz", from_arrays(x)))
    with pytest.raises(ValueError, match="at least two modalities"):
        load_parts(written(tmp_path / "x.npz", from_arrays({"a": x["a"]}, np.zeros(20))))
