import json

import pytest
import torch

import sure_pyro as sp
from sure_pyro.data import missing


@pytest.mark.parametrize("kind", ["scale", "isotonic"])
@pytest.mark.parametrize("task", ["classification", "regression", "multilabel"])
def test_a_loaded_model_predicts_the_same_bit_for_bit(worlds, tmp_path, task, kind):
    model, validation, new = worlds[task]
    batch = missing.mcar(new[:50], 0.4, seed=0)
    calibrated = sp.recalibrate(
        model, validation[:100], reconstruction=kind, propagate="both", num_samples=20
    )
    expected = calibrated.predict(batch, "both", num_samples=20)
    calibrated.save(tmp_path / "model")
    loaded = sp.CalibratedSURE.load(tmp_path / "model")
    found = loaded.predict(batch, "both", num_samples=20)
    for method, m in expected.moments.items():
        assert torch.equal(found.moments[method].mean, m.mean)
        assert torch.equal(found.moments[method].variance, m.variance)
    for method, p in expected.probabilities.items():
        assert torch.equal(found.probabilities[method], p)
    assert found.seen.tolist() == expected.seen.tolist()
    assert repr(loaded) == repr(calibrated)


def test_files_are_json_and_safetensors_and_sure_reads_the_model_beneath(worlds, tmp_path):
    model, validation, new = worlds["regression"]
    sp.recalibrate(model, validation[:100]).save(tmp_path)
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == ["calibration.json", "config.json", "weights.safetensors"]
    json.loads((tmp_path / "calibration.json").read_text())
    plain = sp.SURE.load(tmp_path).predict(new[:20])
    assert torch.equal(plain.total, model.predict(new[:20]).total)


def test_a_calibration_beside_other_weights_is_refused(worlds, tmp_path):
    model, validation, _ = worlds["regression"]
    sp.recalibrate(model, validation[:100]).save(tmp_path)
    worlds["classification"][0].save(tmp_path)
    with pytest.raises(ValueError, match="was fitted to other weights than those beside it"):
        sp.CalibratedSURE.load(tmp_path)


def test_a_file_of_another_format_is_refused(worlds, tmp_path):
    model, validation, _ = worlds["regression"]
    sp.recalibrate(model, validation[:100]).save(tmp_path)
    state = json.loads((tmp_path / "calibration.json").read_text())
    (tmp_path / "calibration.json").write_text(json.dumps({**state, "format": 9}))
    with pytest.raises(
        ValueError, match="has format 9; this version reads 4. Recalibrate the model"
    ):
        sp.CalibratedSURE.load(tmp_path)


def test_it_says_what_it_is(worlds):
    model, validation, new = worlds["regression"]
    calibrated = sp.recalibrate(model, validation[:100])
    assert "calibrated on 100 held-out rows: reconstructions of image, audio, text" in repr(
        calibrated
    )
    assert repr(calibrated.uncalibrated()) == repr(model)
    assert "seen" in repr(calibrated.predict(new[:3]))
