import json

import pytest
import torch

import sure_pyro as sp
from tests.models.conftest import make_batch, make_model


@pytest.mark.parametrize("backbone", ["mlp", "transformer"])
@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("reconstructor", ["masked", "pairwise"])
def test_a_loaded_model_predicts_the_same_bit_for_bit(tmp_path, backbone, task, reconstructor):
    batch = make_batch(task=task)
    model = make_model(batch, backbone, reconstructor=reconstructor)
    expected = model.predict(batch, "both", num_samples=20)
    model.save(tmp_path / "model")
    prediction = sp.SURE.load(tmp_path / "model").predict(batch, "both", num_samples=20)
    for method, moments in expected.moments.items():
        assert torch.equal(prediction.moments[method].mean, moments.mean)
        assert torch.equal(prediction.moments[method].variance, moments.variance)
    assert prediction.outputs == expected.outputs


def test_files_are_json_and_safetensors_and_nothing_else(tmp_path, model):
    model.save(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.json", "weights.safetensors"]
    assert b"\x80\x04" not in (tmp_path / "weights.safetensors").read_bytes()[:2]
    json.loads((tmp_path / "config.json").read_text())


class Own(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = torch.nn.Linear(6, 4), torch.nn.Linear(8, 4), torch.nn.Linear(2, 4)
        self.out = torch.nn.Linear(12, 3)

    def forward(self, image, audio, text):
        z = [self.a(image), self.b(audio.flatten(1)), self.c(text)]
        return self.out(torch.cat(z, -1))


def wrapped():
    return sp.Backbone.wrap(Own(), latents={"image": "a", "audio": "b", "text": "c"})


def test_a_backbone_of_ones_own_is_handed_over_and_gets_its_weights(tmp_path, batch):
    model = sp.SURE(wrapped(), reconstructor_options={"width": 16}).initialize(batch).eval()
    expected = model.predict(batch)
    model.save(tmp_path)
    with pytest.raises(ValueError, match=r"a backbone of your own: build it, and pass it"):
        sp.SURE.load(tmp_path)
    prediction = sp.SURE.load(tmp_path, backbone=wrapped()).predict(batch)
    assert torch.equal(prediction.mean, expected.mean)
    assert torch.equal(prediction.total, expected.total)


def test_a_model_that_is_not_fitted_is_not_saved(tmp_path, batch):
    with pytest.raises(ValueError, match="call `sp.fit"):
        sp.SURE(sp.MLPBackbone.for_data(batch)).save(tmp_path)


def test_a_file_of_another_format_is_refused(tmp_path, model):
    model.save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "format": 99}))
    with pytest.raises(ValueError, match="has format 99; this version reads 1"):
        sp.SURE.load(tmp_path)
