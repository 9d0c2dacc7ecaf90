"""Names of the official state dicts, strict loading, and pretrained encoders from folders."""

import json
import re

import pytest
import torch
from safetensors.torch import save_file

from sure_pyro.backbones.mmml import MMML, MMMLConfig
from tests.backbones.mmml.conftest import make, make_batch

ATTENTION = ["query", "key", "value"]
OUTPUT = ["output.dense", "output.LayerNorm"]
ENCODERS = ["roberta_model.*", "data2vec_model.*"]
CLASS_TOKENS = ["text_cls_emb", "audio_cls_emb"]
CROSS = [
    f"CME_layers.N.{stream}_{part}"
    for stream in ("lang", "audio")
    for part in [
        *(f"attention.att.{name}" for name in ATTENTION),
        *(f"self_att.self.{name}" for name in ATTENTION),
        *(f"{block}.{name}" for block in ("attention", "self_att") for name in OUTPUT),
        *("inter.dense", "output.dense", "output.LayerNorm"),
    ]
]
MIXED = [
    *(f"{stream}_{part}" for stream in ("text", "audio") for part in ("mixed_cls_emb",)),
    *(f"{stream}_mixed_layer.1" for stream in ("text", "audio")),
    *(f"{stream}_encoder.layers.{i}.*" for stream in ("text", "audio") for i in range(3)),
]


def heads(*layers):
    return ["T_output_layers.1", "A_output_layers.1", *(f"fused_output_layers.{i}" for i in layers)]


NAMES = {
    "concatenation": [*ENCODERS, *heads(1, 3, 5, 7)],
    "concatenation_context": [*ENCODERS, *heads(1, 3, 5)],
    "cross_modal_context": [*ENCODERS, *heads(1, 3), *CLASS_TOKENS, *CROSS],
    **{
        f"cross_modal_{version}": [*ENCODERS, *heads(1, 3, 5), *CLASS_TOKENS, *CROSS, *MIXED]
        for version in ("v1", "v2", "v3")
    },
}


def stem(key):
    key = re.sub(r"\.(weight|bias|in_proj_weight|in_proj_bias)$", "", key)
    key = re.sub(r"^CME_layers\.\d+\.", "CME_layers.N.", key)
    key = re.sub(r"^(roberta_model|data2vec_model)\..*", r"\1.*", key)
    return re.sub(r"^((text|audio)_encoder\.layers\.\d)\..*", r"\1.*", key)


def test_names_are_those_of_the_official_state_dicts(backbone):
    keys = {stem(key) for key in backbone.network.state_dict()}
    assert keys == set(NAMES[backbone.sizes.variant])


@pytest.mark.parametrize(
    ("variant", "widths"),
    [
        ("concatenation", {1: (768, 1536), 3: (768, 768), 5: (512, 768), 7: (1, 512)}),
        ("cross_modal_v1", {1: (768, 1536), 3: (512, 768), 5: (1, 512)}),
        ("cross_modal_v2", {1: (768, 1536), 3: (512, 768), 5: (1, 512)}),
        ("cross_modal_v3", {1: (768, 3072), 3: (512, 768), 5: (1, 512)}),
        ("concatenation_context", {1: (2048, 3584), 3: (1024, 2048), 5: (1, 1024)}),
        ("cross_modal_context", {1: (768, 4096), 3: (1, 768)}),
    ],
)
def test_published_widths(variant, widths):
    with torch.device("meta"):
        network = MMML(MMMLConfig.official(variant)).network
    for i, shape in widths.items():
        assert network.fused_output_layers[i].weight.shape == shape
    context = variant.endswith("context")
    text = 2 * 1024 if context else 768
    audio = {"concatenation_context": 2 * 768, "cross_modal_context": 2 * 1024}.get(variant, 768)
    assert network.T_output_layers[1].in_features == text
    assert network.A_output_layers[1].in_features == audio
    if variant.startswith("cross"):
        width = 1024 if context else 768
        layer = network.CME_layers[4]
        assert len(network.CME_layers) == 5
        assert layer.lang_inter.dense.weight.shape == (4 * width, width)
        assert layer.lang_attention.att.num_heads == (16 if context else 12)


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_a_checkpoint_loads_from_a_file(backbone, tmp_path, suffix):
    path = tmp_path / f"RH_acc_mosi_1_0.9.{suffix}"
    state = make(backbone.sizes.variant, seed=5).network.state_dict()
    save_file(state, path) if suffix == "safetensors" else torch.save(state, path)
    loaded = MMML(**backbone.config).load_official(path)
    for key, tensor in loaded.network.state_dict().items():
        assert torch.equal(tensor, state[key])


def test_sizes_that_the_checkpoint_tells_are_taken_from_it():
    changes = {"hidden": (7, 5), "num_layers": 3, "intermediate_size": 20, "mixer_size": 12}
    other = MMML(MMMLConfig.tiny("cross_modal_v3", **changes))
    loaded = MMML.from_official(other.network.state_dict(), MMMLConfig.tiny("cross_modal_v3"))
    assert {name: getattr(loaded.sizes, name) for name in changes} == changes


def test_everything_that_does_not_fit_is_named_and_nothing_is_loaded():
    backbone = make("cross_modal_v1")
    state = dict(make("cross_modal_v1", seed=5).network.state_dict())
    before = backbone.network.T_output_layers[1].weight.clone()
    del state["text_cls_emb.weight"]
    state["module.extra"] = torch.zeros(1)
    state["A_output_layers.1.bias"] = torch.zeros(2)
    with pytest.raises(ValueError, match="does not fit this MMML") as error:
        backbone.load_official(state)
    for part in (
        "1 missing: text_cls_emb.weight",
        "1 unexpected: module.extra",
        "1 of another shape: A_output_layers.1.bias (2,) for (1,)",
    ):
        assert part in str(error.value)
    assert torch.equal(backbone.network.T_output_layers[1].weight, before)


def test_another_variant_is_refused():
    state = make("concatenation").network.state_dict()
    with pytest.raises(ValueError, match=r"missing: .*text_cls_emb.weight"):
        MMML.from_official(state, MMMLConfig.tiny("cross_modal_v1"))


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_objects_in_a_checkpoint_are_refused_and_not_run(tmp_path):
    path, made = tmp_path / "model.pth", tmp_path / "made"
    torch.save({"a": Trap(str(made))}, path)
    with pytest.raises(ValueError, match="never unpickled"):
        make("concatenation").load_official(path)
    assert not made.exists()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"state_dict": {"a": torch.zeros(1)}}, "'dict'"),
        ([torch.zeros(1)], "'list'"),
        ({"epoch": 3, "a": torch.zeros(1)}, "'int'"),
        (torch.zeros(1), "'Tensor'"),
    ],
)
def test_what_is_no_bare_state_dict_is_refused(tmp_path, content, text):
    path = tmp_path / "model.pth"
    torch.save(content, path)
    with pytest.raises(ValueError, match=f"dictionary of tensors.*holds.*{text}"):
        make("concatenation").load_official(path)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut off"])
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_damaged_files_are_refused(tmp_path, content, suffix):
    path = tmp_path / f"model.{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="can not be read as a dictionary of tensors"):
        make("concatenation").load_official(path)


def test_a_missing_file_is_named(tmp_path):
    for name in ("nowhere.pth", "nowhere.safetensors"):
        with pytest.raises(FileNotFoundError, match=name):
            make("concatenation").load_official(tmp_path / name)


@pytest.mark.parametrize("form", ["safetensors", "bin"])
def test_pretrained_encoders_come_from_folders(tmp_path, form):
    source = make("cross_modal_v2", seed=3).network
    for name in ("roberta_model", "data2vec_model"):
        encoder = getattr(source, name)
        encoder.save_pretrained(tmp_path / name)
        if form == "bin":
            (tmp_path / name / "model.safetensors").unlink()
            torch.save(encoder.state_dict(), tmp_path / name / "pytorch_model.bin")
    folders = {"text": tmp_path / "roberta_model", "audio": tmp_path / "data2vec_model"}
    state = torch.get_rng_state()
    sizes = {"num_layers": 1, "num_heads": 2, "intermediate_size": 8, "mixer_size": 8}
    backbone = MMML.from_pretrained("cross_modal_v2", **folders, **sizes, seed=1).freeze()
    assert torch.equal(torch.get_rng_state(), state)
    for name, tensor in source.state_dict().items():
        if name.startswith(("roberta", "data2vec")):
            assert torch.equal(backbone.network.state_dict()[name], tensor)
    again = MMML(**json.loads(json.dumps(backbone.config)))
    again.load_state_dict(backbone.state_dict())
    batch = make_batch(backbone)
    assert torch.equal(again.freeze()(batch)["M"], backbone(batch)["M"])
