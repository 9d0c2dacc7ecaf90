"""The example on two pretrained encoders: its network behind the seam, and its tables."""

import importlib
import json
import sys
from pathlib import Path

import pytest
import torch

import sure_pyro as sp
from sure_pyro.backbones import check_backbone

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
TEXTS = {
    "name": ["cat", "red apple", "fire engine", "", "grinning face", "soccer ball"],
    "keywords": ["pet, whiskers", "fruit", "", "one, two, three", "smile", "game, sport, kick"],
}


@pytest.fixture(scope="module")
def emoji():
    """The script; what it imports lies beside it."""
    sys.path.insert(0, str(FOLDER))
    try:
        yield importlib.import_module("emoji")
    finally:
        sys.path.remove(str(FOLDER))
        for name in ("emoji", "emoji_tables"):
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def rows(emoji):
    """Raw rows, two of which lack a text."""
    try:
        tokenizer = emoji.WordLlamaTokenizer()
    except ImportError as error:
        pytest.skip(str(error))
    generator = torch.Generator().manual_seed(0)
    picture = torch.randint(0, 256, (6, 48, 48, 3), dtype=torch.uint8, generator=generator)
    texts = {name: tokenizer(text) for name, text in TEXTS.items()}
    return sp.from_arrays({"picture": picture, **texts}, torch.tensor([0, 1, 2, 0, 1, 2]))


@pytest.fixture(scope="module")
def net(emoji, rows):
    torch.manual_seed(0)
    encoders = emoji.CountedEncoder(64), emoji.WordLlamaEncoder()
    return emoji.EmojiNet(*encoders, emoji.Trunk(num_classes=3)).eval()


def wrapped(net):
    latents = {name: f"trunk.{name}" for name in ("picture", "name", "keywords")}
    return sp.Backbone.wrap(net, latents=latents, readout="trunk.classifier", batch_size=4)


def test_what_is_cut_says_what_the_network_says(net, rows):
    backbone = wrapped(net).freeze()
    backbone.prepare(rows)
    check_backbone(backbone, rows)
    complete = rows.complete()
    with torch.no_grad():
        expected = net(**complete.features)
        h = backbone.fuse(backbone.encode(complete))
        said = backbone.readout(h.shape[1])(h)
    torch.testing.assert_close(said, expected, rtol=0, atol=1e-6)


def test_padding_of_a_text_is_not_read(net, rows):
    complete = rows.complete()
    features = dict(complete.features)
    name = dict(features["name"])
    with torch.no_grad():
        expected = net(**features)
        name["input_ids"] = torch.where(name["attention_mask"] == 0, 77, name["input_ids"])
        assert torch.equal(net(**{**features, "name": name}), expected)


def test_a_row_passes_the_picture_encoder_once_however_many_draws(emoji, net, rows):
    model = sp.SURE(wrapped(net), reconstructor_options={"width": 16}).initialize(rows).eval()
    before = emoji.CountedEncoder.passed
    prediction = model.predict(sp.missing.hide_exactly(rows, 1, seed=0), "sampling")
    assert emoji.CountedEncoder.passed - before == len(rows)
    assert bool(prediction.mean.isfinite().all())


def test_latents_of_rows_predict_as_the_rows_do(emoji, net, rows):
    model = sp.SURE(wrapped(net), reconstructor_options={"width": 16}).initialize(rows).eval()
    latents = emoji.latents_of(model, rows)
    before = emoji.CountedEncoder.passed
    said = model.predict(latents)
    assert emoji.CountedEncoder.passed == before
    torch.testing.assert_close(said.mean, model.predict(rows).mean, rtol=1e-4, atol=1e-5)


def test_rows_of_one_mask_have_what_is_visible_and_nothing_else(emoji, rows):
    only = emoji.only(rows, ("picture", "name"))
    assert len(only) == 5
    assert only.available.tolist() == [[True, True, False]] * 5


def scores_of(gain):
    """Results in which a method is right in so many of the four rows, under every mask."""
    tables = importlib.import_module("emoji_tables")
    masks = (tables.ALL, *tables.MASKS)
    right = {"zero": [1, 0, 0, 0] * 7, **{m: r * 7 for m, r in gain.items()}}
    scores = {
        mask: {m: {"accuracy": sum(r) / len(r), "nll": 1.0} for m, r in right.items()}
        for mask in masks
    }
    seed = {"scores": scores, "right": right}
    return {
        "unit": list(range(4)) * 7,
        "hides": [False] * 4 + [True] * 24,
        "seeds": [seed, seed],
    }


def test_gains_are_points_over_zeros_and_shares_of_the_ceiling(emoji):
    found = scores_of({
        "mean": [1, 0, 0, 0], "SURE": [1, 1, 0, 0], "same latents": [1, 1, 0, 0],
        "ceiling": [1, 1, 1, 0],
    })  # fmt: skip
    table = importlib.import_module("emoji_tables").gain_table(found)
    assert table.iloc[:, 0].str.split(" ").str[0].tolist() == ["+0.0", "+25.0", "+25.0", "+50.0"]
    assert table.iloc[:, 2].tolist() == ["0.00", "0.50", "0.50", "1.00"]


def test_the_bootstrap_draws_families(emoji):
    tables = importlib.import_module("emoji_tables")
    gain = {"SURE": [1, 1, 1, 0]}
    found = scores_of(gain)
    _, low, high = tables.bootstrap(found, "SURE")
    one_family = {**found, "unit": [0] * 28}
    assert tables.bootstrap(one_family, "SURE") == (50.0, 50.0, 50.0)
    assert low < 50 < high


def test_the_page_shows_the_kept_results(emoji):
    """Every table of the page is that of the kept results; the sentence about the ceiling, too."""
    tables = importlib.import_module("emoji_tables")
    found = json.loads((FOLDER / "emoji_results.json").read_text(encoding="utf-8"))
    page = (FOLDER.parent / "docs" / "emoji.md").read_text(encoding="utf-8")
    for part in tables.tables(found).split("\n\n"):
        if part.startswith("|"):
            assert part in page
    share = float(tables.gain_table(found).iloc[1, 2])
    assert f"SURE wins {100 * share:.0f} % of what the ceiling wins" in page
