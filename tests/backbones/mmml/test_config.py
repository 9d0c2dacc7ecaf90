"""Sizes: as published, as JSON, and what is refused."""

import json

import pytest

from sure_pyro.backbones.mmml import MMMLConfig
from sure_pyro.backbones.mmml.config import OFFICIAL_NAMES, VARIANTS

ROBERTA = {"hidden_size": 48, "vocab_size": 97}
DATA2VEC = {"hidden_size": 48}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("make", [MMMLConfig.official, MMMLConfig.tiny])
def test_sizes_survive_json(make, variant):
    config = make(variant)
    assert MMMLConfig(**json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize("name", OFFICIAL_NAMES)
def test_sizes_of_the_authors_program_are_read(tmp_path, name):
    values = {
        "variant": name,
        "roberta": ROBERTA,
        "data2vec_audio": DATA2VEC,
        "num_cross_modal_layers": 2,
        "cross_modal": {"attention_heads": 4, "intermediate_size": 96, "dropout": 0.1},
        "note": "what is not known changes nothing",
    }
    path = tmp_path / "config.json"
    path.write_text(json.dumps(values))
    config = MMMLConfig.read(path)
    assert config == MMMLConfig.read(values)
    assert config.variant == OFFICIAL_NAMES[name]
    assert (config.text, config.audio) == (ROBERTA, DATA2VEC)
    assert (config.num_layers, config.num_heads) == (2, 4)
    assert (config.intermediate_size, config.dropout) == (96, 0.1)


def test_what_is_not_said_is_as_published():
    config = MMMLConfig.read({"variant": "cc", "roberta": ROBERTA, "data2vec_audio": DATA2VEC})
    assert (config.num_layers, config.dropout, config.hidden) == (5, 0.3, (48, 48, 512))


def test_modalities_with_and_without_context():
    assert MMMLConfig.tiny("cross_modal_v2").modalities == ("text", "audio")
    context = ("text", "audio", "text_context", "audio_context")
    assert MMMLConfig.tiny("concatenation_context").modalities == context


def test_concatenation_takes_latents_of_two_widths():
    config = MMMLConfig.official("concatenation_context")
    assert (config.text_width, config.audio_width) == (1024, 768)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: MMMLConfig.tiny("cme"), "`variant` must be one of .*got 'cme'"),
        (
            lambda: MMMLConfig("cross_modal_v1", ROBERTA, {"hidden_size": 32}),
            "text 48 and audio 32",
        ),
        (lambda: MMMLConfig("cross_modal_v1", ROBERTA, DATA2VEC, num_heads=5), "divide.*48; got 5"),
        (lambda: MMMLConfig.read({"variant": "cc", "roberta": {}}), r"\['data2vec_audio'\]"),
        (lambda: MMMLConfig("concatenation", {}, DATA2VEC), "`text` needs 'hidden_size'"),
        (lambda: MMMLConfig("concatenation", ROBERTA, {}), "`audio` needs 'hidden_size'"),
    ],
)
def test_what_is_refused(call, text):
    with pytest.raises(ValueError, match=text):
        call()
