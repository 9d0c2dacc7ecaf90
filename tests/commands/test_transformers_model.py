"""Any model of transformers by its folder, from posters and plots to a table of predictions."""

import json
import string

import pandas as pd
import pytest
import torch
from PIL import Image

from sure_pyro import __main__ as command
from sure_pyro.commands.run_folder import RunFolder
from sure_pyro.commands.transformers_model import ImageProcessor
from sure_pyro.data.formats import read_mm_imdb
from sure_pyro.data.store import LatentStore
from sure_pyro.files import write_text
from sure_pyro.models.stored import stand_in_of
from tests.backbones.hugging_face.models import SIZES, bridgetower, clip, transformers, vilt
from tests.data.formats import small


def run(*arguments):
    return command.main([str(a) for a in arguments])


def write_model(folder, model, **processor):
    """Model, tokenizer of letters and image processor, as `save_pretrained` writes them."""
    model.save_pretrained(folder)
    pieces = [*string.ascii_lowercase, *(c + "</w>" for c in string.ascii_lowercase)]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    marks = {"<|startoftext|>": 58, "<|endoftext|>": 59}
    transformers.CLIPTokenizer(vocabulary | marks, []).save_pretrained(folder)
    sizes = {"size": {"shortest_edge": 16}, "crop_size": {"height": 16, "width": 16}} | processor
    transformers.CLIPImageProcessor(**sizes).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return small.mm_imdb(tmp_path_factory.mktemp("films"))


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "model", clip())


def encode(folder, data, model, *more):
    options = ["--system", "transformers", "--checkpoint", model, "--quiet", *more]
    return run("encode", folder, *options, "--data", data)


def to_the_end(folder, capsys):
    """Fit, calibrate and predict, with the text hidden; the table."""
    assert run("fit", folder, "--epochs", 1, "--quiet") == 0
    assert run("calibrate", folder, "--propagate", "both", "--num-samples", 20, "--quiet") == 0
    options = ["--part", "all", "--propagate", "both", "--num-samples", "50", "--hide", "text"]
    assert run("predict", folder, *options) == 0
    assert "Taylor against 50 draws" in capsys.readouterr().out
    return pd.read_csv(folder / "predictions.csv", dtype={"id": str})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:All rows of `validation` are of one group")
@pytest.mark.parametrize("make", [clip, bridgetower])
def test_from_a_folder_of_a_model_to_predictions(make, data, tmp_path, capsys):
    model = write_model(tmp_path / "model", make())
    folder = tmp_path / "run"
    assert encode(folder, data, model) == 0
    for file in model.iterdir():
        file.unlink()  # the run needs the model's folder no more
    again = RunFolder(folder).load_backbone()
    for name, tensor in make().state_dict().items():
        assert torch.equal(again.net.state_dict()[name], tensor), name
    table = to_the_end(folder, capsys)
    ids = [film[0] for part in small.MM_IMDB_ROWS.values() for film in part]
    assert table["id"].unique().tolist() == ids
    variance = table.filter(like="variance/").drop(columns="variance/total")
    assert variance.sum(axis=1).to_numpy() == pytest.approx(table["variance/total"], rel=1e-4)
    assert (table["variance/text"] > 0).all()
    no_poster = table["variance/image"] > 0
    assert table.loc[no_poster, "id"].unique().tolist() == ["0000003", "0000007"]
    for method in ("taylor", "sampling"):
        assert table[f"probability/{method}"].between(0, 1).all()


def test_latents_of_another_tokenizer_are_not_mixed_in(data, model, tmp_path, capsys):
    assert encode(tmp_path / "run", data, model) == 0
    assert encode(tmp_path / "run", data, model) == 0  # nothing changed: it is done already
    file = model / "tokenizer.json"
    content = json.loads(file.read_text())
    content["normalizer"] = None  # capital letters stay
    write_text(file, json.dumps(content))
    assert encode(tmp_path / "run", data, model) == 2
    assert "tokenizer.json" in capsys.readouterr().err


@pytest.mark.slow
def test_the_saved_form_holds_the_cuts(data, model, tmp_path):
    assert encode(tmp_path / "run", data, model) == 0
    taps = RunFolder(tmp_path / "run").load_backbone().taps
    found = {name: tap.module for name, tap in taps.items()}
    assert found == {"text": "text_projection", "image": "visual_projection"}


def test_a_picture_is_what_the_models_own_processor_makes_of_it(data, model):
    own = transformers.AutoImageProcessor.from_pretrained(model)
    found = read_mm_imdb(data, process=ImageProcessor(own))[0].values["image"]
    with Image.open(data / "dataset" / "0000001.jpeg") as poster:
        assert torch.equal(found, own(poster, return_tensors="pt")["pixel_values"][0])


@pytest.mark.slow
@pytest.mark.parametrize(("positions", "length"), [(24, 24), (300, 128)])
def test_texts_are_as_long_as_the_model_takes(positions, length, data, tmp_path, capsys):
    made = clip()
    config = made.config
    config.text_config.max_position_embeddings = positions
    model = write_model(tmp_path / "model", type(made)(config))
    folder = tmp_path / "run"
    assert encode(folder, data, model, "--max-length", positions + 1) == 2
    assert f"`--max-length` may be at most {positions} here" in capsys.readouterr().err
    assert encode(folder, data, model) == 0
    again = RunFolder(folder)
    assert again.settings("encode")["max_length"] is None
    stand_in = stand_in_of(LatentStore.open(again.store))
    assert stand_in.features["text"]["input_ids"].shape[1] == length


def lose(*names):
    def change(folder):
        for name in names:
            (folder / name).unlink()

    return change


def reconfigure(name, **settings):
    def change(folder):
        found = json.loads((folder / name).read_text())
        write_text(folder / name, json.dumps(found | settings))

    return change


def take(make):
    return lambda folder: make().save_pretrained(folder)


def clap():
    """A model of text and audio."""
    text = {**SIZES, "vocab_size": 60, "max_position_embeddings": 30}
    audio = {
        "depths": [1, 1],
        "num_attention_heads": [2, 2],
        "patch_embeds_hidden_size": 8,
        "hidden_size": 16,
        "spec_size": 64,
        "num_mel_bins": 16,
        "window_size": 2,
    }
    config = transformers.ClapConfig(text_config=text, audio_config=audio, projection_dim=6)
    return transformers.ClapModel(config)


WRONG = {
    "no tokenizer": (
        lose("tokenizer.json", "tokenizer_config.json"),
        "can not be loaded: give the folder of one that `save_pretrained` wrote",
    ),
    "no words": (lose("tokenizer.json"), "It holds none of"),
    "no padding": (
        reconfigure("tokenizer_config.json", pad_token=None),
        "has no token of padding",
    ),
    "no image processor": (lose("preprocessor_config.json"), "has no image processor"),
    "pictures of several shapes": (
        reconfigure("preprocessor_config.json", do_center_crop=False),
        "Pictures must become tensors (3, H, W) of one shape",
    ),
    "another class": (
        reconfigure("config.json", architectures=["MyModel"]),
        "'MyModel' is no model of the installed transformers",
    ),
    "another kind": (
        reconfigure("config.json", model_type="mine"),
        "is no model that the installed transformers can build",
    ),
    "no model": (lose("config.json"), "is no model that the installed transformers can build"),
    "no weights": (lose("model.safetensors"), "could not be read from safetensors"),
    "other modalities": (
        take(clap),
        "holds a ClapModel of text, audio; mm-imdb has text, image. Take a model of these",
    ),
}


@pytest.mark.parametrize(("change", "words"), WRONG.values(), ids=WRONG)
def test_a_folder_that_lacks_something_is_one_line(change, words, data, model, tmp_path, capsys):
    change(model)
    capsys.readouterr()
    assert encode(tmp_path / "run", data, model) == 2
    error = capsys.readouterr().err
    said = error[error.index("sure-pyro: ") :]
    assert words in said
    assert said.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_options_that_do_not_fit(data, model, tmp_path, capsys):
    fresh = ["encode", tmp_path / "run", "--data", data]
    named = [*fresh, "--system", "transformers"]
    for arguments, words in [
        (named, "needs `--checkpoint FOLDER`"),
        ([*named, "--checkpoint", model / "config.json"], "needs `--checkpoint FOLDER`"),
        ([*named, "--checkpoint", model, "--tiny"], "needs `--checkpoint FOLDER`"),
        ([*named, "--checkpoint", model, "--dataset", "mosi"], "reads mm-imdb; got mosi"),
        ([*named, "--checkpoint", model, "--architecture", "Nothing"], "'Nothing' is no model"),
        ([*fresh, "--system", "mmbt", "--tiny", "--architecture", "CLIPModel"], "goes with"),
    ]:
        assert run(*arguments) == 2, arguments
        assert words in capsys.readouterr().err


def test_a_model_whose_processor_gives_pictures_of_several_shapes(data, tmp_path, capsys):
    model = write_model(tmp_path / "model", vilt())
    transformers.ViltImageProcessor(size={"shortest_edge": 64}).save_pretrained(model)
    assert encode(tmp_path / "run", data, model) == 2
    assert "set a fixed `size` or `crop_size`" in capsys.readouterr().err
