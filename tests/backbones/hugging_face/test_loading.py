import json
from pathlib import Path

import pytest
import torch
from torch import nn

from sure_pyro.backbones import Backbone
from sure_pyro.backbones.hugging_face.loading import as_json, from_json, load_model
from tests.backbones.hugging_face.models import MODELS, batch, clip, transformers


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip")
    clip().save_pretrained(path)
    return path


@pytest.mark.parametrize("as_text", [True, False])
def test_a_folder_gives_the_model_that_was_saved_there(folder, as_text):
    before = torch.get_rng_state()
    found = load_model(str(folder) if as_text else folder, local_files_only=True)
    assert torch.equal(before, torch.get_rng_state())
    assert type(found).__name__ == "CLIPModel"
    assert all(torch.equal(x, found.state_dict()[n]) for n, x in clip().state_dict().items())


def test_a_backbone_from_a_folder(folder):
    data = batch()
    named, loaded = (Backbone.from_transformers(m) for m in (folder, clip()))
    assert torch.equal(named.fuse(named.encode(data)), loaded.fuse(loaded.encode(data)))


def changed(folder, target, **settings):
    """Copy of a model's folder with other settings."""
    target.mkdir()
    for file in folder.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    config = json.loads((target / "config.json").read_text()) | settings
    (target / "config.json").write_text(json.dumps(config))
    return target


def test_code_that_comes_with_a_model_is_not_run(folder, tmp_path):
    code = {"AutoConfig": "own.Config", "AutoModel": "own.Model"}
    path = changed(folder, tmp_path / "own", auto_map=code, model_type="own")
    (path / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(ValueError, match="is no model that the installed transformers can build"):
        load_model(path)
    assert not (tmp_path / "ran").exists()


def test_pickled_weights_are_refused(folder, tmp_path):
    path = changed(folder, tmp_path / "pickled")
    (path / "model.safetensors").unlink()
    torch.save(clip().state_dict(), path / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"not be read from safetensors.*save_pretrained"):
        load_model(path)


def test_weights_that_would_be_random_are_refused(folder):
    with pytest.raises(
        ValueError, match=r"does not hold \['classifier.bias', 'classifier.weight'\]"
    ):
        load_model(folder, "CLIPForImageClassification")


@pytest.mark.parametrize("name", ["NoModel", "pipeline", "a.b", "PreTrainedModel"])
def test_classes_that_are_no_models_are_refused(folder, name):
    with pytest.raises(ValueError, match="is no model of the installed transformers"):
        load_model(folder, name)
    with pytest.raises(ValueError, match="is no model of the installed transformers"):
        from_json({"class": name, "config": {}, "attention": None})


def test_what_is_not_there_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="There is no folder"):
        load_model(tmp_path / "none")
    with pytest.raises(ValueError, match="There is no folder"):
        load_model(Path("none"))
    with pytest.raises(ValueError, match="is no model that the installed transformers can build"):
        load_model("no-such-owner/no-such-model", local_files_only=True)


# -- as JSON --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_json_gives_a_model_of_the_same_form(name):
    model = MODELS[name]()
    form = json.loads(json.dumps(as_json(model)))
    again = from_json(form)
    assert type(again) is type(model)
    again.load_state_dict(model.state_dict())
    assert again.config.to_dict() == model.config.to_dict()
    assert again.config._attn_implementation == model.config._attn_implementation


@pytest.mark.parametrize(
    "change",
    [
        {"config": {"auto_map": {"AutoModel": "own.Model"}}},
        {"config": {"text_config": {"quantization_config": {"quant_method": "other"}}}},
        {"attention": "someone/kernel"},
    ],
)
def test_settings_that_would_load_other_code_are_refused(change):
    with pytest.raises(ValueError, match="for which other code would be loaded"):
        from_json(as_json(clip()) | change)


def test_models_that_their_configuration_does_not_tell_have_no_json():
    class CLIPModel(transformers.CLIPModel):  # the same name, but not the library's
        pass

    own = CLIPModel(clip().config)
    replaced, hooked, adapted = clip(), clip(), clip()
    replaced.text_projection.forward = lambda x: x
    hooked.text_projection.register_forward_hook(lambda *_: None)
    adapted.text_projection = nn.Sequential(adapted.text_projection)
    assert all(as_json(model) is None for model in (own, replaced, hooked, adapted))
