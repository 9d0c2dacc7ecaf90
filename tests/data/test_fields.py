"""Modalities with several fields: whatever a batch can do, it does with them."""

import dataclasses

import numpy as np
import pytest
import torch

from sure_pyro.data import (
    Batch,
    EvaluationMasks,
    from_arrays,
    load_npz,
    missing,
    resolve_partial,
    save_npz,
)
from sure_pyro.data.fields import each_field, event_shape, labelled, plain, reference
from sure_pyro.data.patterns import mask_patterns
from sure_pyro.data.standardize import Standardizer
from sure_pyro.data.validate import check_features
from tests.data.strategies import INF, NAN, same

TOKENS = torch.tensor([[1, 1, 0, 0], [0, 1, 1, 1], [1, 1, 1, 1]])  # right, left, none


def fielded(**changes) -> Batch:
    """Three rows of a text of ids and mask, a picture of pixels and boxes, and a vector."""
    fields = {
        "features": {
            "text": {"input_ids": torch.arange(12).reshape(3, 4) + 1, "attention_mask": TOKENS},
            "image": {
                "pixels": torch.rand(3, 3, 8, 8) + 1,
                "boxes": torch.rand(3, 2, 4) + 1,
                "count": torch.tensor([1, 2, 3]),
            },
            "v": torch.ones(3, 2),
        },
        "available": torch.tensor([[1, 1, 1], [1, 1, 0], [0, 1, 1]]).bool(),
        "target": torch.tensor([0, 1, 1]),
    }
    return Batch(**{**fields, **changes})


def test_each_field_keeps_the_form():
    x = {"a": torch.ones(2, 3), "b": torch.ones(2)}
    assert each_field(x, len) == {"a": 2, "b": 2}
    assert each_field(x["a"], len) == 2
    assert event_shape(x) == {"a": (3,), "b": ()}
    assert list(labelled("m", x)) == ["m.a", "m.b"]
    assert reference({"m": x}) is x["a"]
    with pytest.raises(TypeError, match=r"Mixing needs .* one tensor, but 'm' has the fields"):
        plain({"m": x}, "m", "Mixing")


@pytest.mark.parametrize("garbage", [NAN, INF, 1e30])
def test_what_is_stored_under_absent_and_padding_never_gets_in(garbage):
    clean = fielded()
    features = {n: each_field(x, torch.clone) for n, x in clean.features.items()}
    features["image"]["pixels"][1] = garbage
    features["image"]["boxes"][1] = garbage
    available = clean.available.clone()
    available[1, 1] = False
    available[1, 2] = True
    dirty = clean.replace(features=features, available=available)
    assert (dirty.features["image"]["pixels"][1] == 0).all()
    assert (dirty.features["image"]["boxes"][1] == 0).all()
    assert dirty.features["image"]["count"].tolist() == [1, 0, 3]


def test_padding_is_read_from_the_attention_mask_on_either_side():
    batch = fielded()
    assert batch.padding["text"].tolist()[:2] == TOKENS[:2].bool().tolist()
    assert batch.padding["text"][2].all()  # the length of what is absent is not known
    assert batch.features["text"]["input_ids"].tolist()[:2] == [[1, 2, 0, 0], [0, 6, 7, 8]]
    assert (batch.features["text"]["attention_mask"][2] == 0).all()


def test_padding_is_given_and_applies_to_the_fields_of_its_length():
    tokens = torch.tensor([[True, False], [True, True], [False, True]])
    batch = fielded(padding={"image": tokens})
    assert (batch.features["image"]["boxes"][0, 1] == 0).all()
    assert (batch.features["image"]["boxes"][2, 0] == 0).all()
    assert (batch.features["image"]["pixels"] > 0).all()


@pytest.mark.parametrize("rows", [[2, 0], slice(0, 2), torch.tensor([True, False, True]), 1])
def test_rows_of_every_field(rows):
    batch = fielded()
    part = batch[rows]
    index = [rows] if isinstance(rows, int) else rows
    for name in ("text", "image"):
        for field, x in batch.features[name].items():
            assert torch.equal(part.features[name][field], x[index])
    assert torch.equal(part.padding["text"], batch.padding["text"][index])


def test_cutting_and_joining_give_back_the_batch():
    batch = fielded()
    same(Batch.cat([batch[:1], batch[1:]]), batch)
    same(batch.replace(), batch)
    same(Batch(**{f.name: getattr(batch, f.name) for f in dataclasses.fields(batch)}), batch)
    parts = Batch.cat([batch] * 4).split(seed=0)
    assert sum(map(len, parts)) == 12
    without = fielded(padding={"image": torch.tensor([[True, False]] * 3)})
    joined = Batch.cat([batch, without])
    assert joined.padding["image"][:3].all()  # spelt out where only some batches have it
    with pytest.raises(ValueError, match="event shapes of batch 0"):
        Batch.cat([batch, fielded(features={**batch.features, "text": torch.ones(3, 4)})])


def test_to_moves_every_field_and_changes_floating_ones():
    moved = fielded().to(torch.float64).features
    assert moved["image"]["pixels"].dtype == torch.float64
    assert moved["text"]["input_ids"].dtype == moved["image"]["count"].dtype == torch.int64
    assert fielded().to("meta").features["text"]["input_ids"].device.type == "meta"


def test_hiding_blanks_every_field():
    batch = fielded()
    hidden = missing.pattern(batch, ["image"])
    assert all((x == 0).all() for x in hidden.features["text"].values())
    assert torch.equal(hidden.features["image"]["pixels"], batch.features["image"]["pixels"])
    assert mask_patterns(hidden) == ["image"] * 3
    masks = EvaluationMasks.of(hidden, 0, "image only")
    same(masks.apply(batch), hidden)
    assert len(batch.complete()) == 1
    assert len(missing.mcar(batch, 0.3, 0)) == 3
    same(resolve_partial(batch, "absent"), batch)


def test_recorded_entries_have_the_form_of_the_features():
    entries = fielded().recorded_entries("text")
    assert torch.equal(entries["input_ids"], TOKENS.bool() & torch.tensor([[1], [1], [0]]).bool())
    assert fielded().recorded_entries("image")["count"].tolist() == [True] * 3


def test_one_line_for_each_field():
    lines = repr(fielded()).splitlines()
    assert [line.split()[0] for line in lines[1:-1]] == [
        "text.input_ids", "text.attention_mask", "image.pixels", "image.boxes", "image.count", "v",
    ]  # fmt: skip
    assert lines[1].endswith("66.7 %, padding from attention_mask")
    assert lines[3].endswith("100.0 %")
    assert fielded()._repr_html_().count("<tr>") == 7


def test_from_arrays_takes_fields():
    batch = fielded()
    arrays = {n: each_field(x, lambda v: v.numpy()) for n, x in batch.features.items()}
    same(from_arrays(arrays, batch.target.numpy(), batch.available.numpy()), batch)
    by_name = {"text": [True, True, False], "v": [True, False, True]}
    same(from_arrays(arrays, batch.target.numpy(), by_name), batch)


def test_nan_in_every_field_is_an_absent_row_and_in_some_is_refused():
    pixels, boxes = np.ones((3, 2, 2)), np.ones((3, 1, 4))
    pixels[1], boxes[1] = NAN, NAN
    x = {"image": {"pixels": pixels, "boxes": boxes, "n": [1, 2, 3]}, "v": np.ones((3, 1))}
    batch = from_arrays(x, nan="missing")
    assert batch.available.tolist() == [[True, True], [False, True], [True, True]]
    assert batch.features["image"]["n"].tolist() == [1, 0, 3]
    boxes[2, 0, 1] = NAN
    with pytest.raises(ValueError, match=r"'image' lacks parts of its fields .* in row 2"):
        from_arrays(x, nan="missing")
    with pytest.raises(ValueError, match=r"Field 'pixels' of modality 'image' has NaN .* row 1"):
        from_arrays(x)


def test_a_file_gives_back_fields_integers_and_padding(tmp_path):
    tokens = torch.tensor([[1, 1, 0], [0, 1, 1], [1, 1, 1]]).bool()
    batch = fielded()
    features = {**batch.features, "ids": torch.arange(9).reshape(3, 3)}
    available = torch.cat([batch.available, torch.tensor([[True], [True], [False]])], 1)
    batch = batch.replace(features=features, available=available, padding={"ids": tokens})
    save_npz(tmp_path / "x.npz", batch)
    same(load_npz(tmp_path / "x.npz"), batch)
    with np.load(tmp_path / "x.npz", allow_pickle=False) as file:
        assert {"text.input_ids", "fields:text", "available:text", "available:ids"} <= set(file)


def test_fields_that_can_not_be_written(tmp_path):
    with pytest.raises(ValueError, match="Field 'a' of modality 't' is torch.bfloat16"):
        save_npz(tmp_path / "x.npz", Batch({"t": {"a": torch.ones(1, 1).bfloat16()}}))
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match=r"Two fields would be called \['t.a'\]"):
        Batch({"t": {"a": torch.ones(1, 1)}, "t.a": torch.ones(1, 1)})


def test_files_whose_fields_do_not_fit(tmp_path):
    arrays = {"modalities": np.array(["t"]), "fields:t": np.array(["a", "b"]), "t.a": np.ones(2)}
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(ValueError, match=r"names the fields \['b'\] of 't', but has no arrays"):
        load_npz(tmp_path / "x.npz")
    np.savez(tmp_path / "x.npz", **arrays, **{"t.b": np.ones(2), "t.c": np.ones(2)})
    with pytest.raises(ValueError, match=r"does not know: \['t.c'\]"):
        load_npz(tmp_path / "x.npz")


@pytest.mark.parametrize(
    ("use", "text"),
    [
        (Standardizer.of, "Standardisation needs .* 'text' has the fields"),
        (lambda b: missing.within(b, 0.2, 0, axis="entries"), "Hiding parts needs .* 'text'"),
        (lambda b: missing.within(b, 0.2, 0, modalities="image"), "Hiding parts needs .* 'image'"),
        (lambda b: missing.mnar(b, 0.2, 0), "A score of its values needs .* 'text'"),
        (lambda b: missing.mar(b, 0.2, 0, given="text"), "A score of its values needs .* 'text'"),
        (
            lambda b: b.restrict(recorded={"text": torch.ones(3, 4).bool()}),
            r"`recorded\['text'\]`: a modality of several fields, .*Mark its rows in `available`",
        ),
    ],
)
def test_what_needs_one_tensor_says_so(use, text):
    with pytest.raises(TypeError, match=text):
        use(fielded())


@pytest.mark.parametrize(
    ("fields", "error", "text"),
    [
        ({}, TypeError, "'t' must be a tensor, or map .*it has no fields"),
        ({1: torch.ones(3, 1)}, TypeError, "fields of modality 't' must be non-empty .* got 1"),
        ({"a/b": torch.ones(3, 1)}, ValueError, "called 'a/b': '/' parts names .* 'a_b'"),
        ({"a": [1, 2]}, TypeError, "Field 'a' of modality 't' must be a tensor; got list"),
        ({"a": torch.ones(3, 0)}, ValueError, "Field 'a' of modality 't' is empty"),
        ({"a": torch.tensor(1.0)}, ValueError, "Field 'a' of modality 't' must have shape"),
        ({"a": torch.ones(3, 1).cfloat()}, TypeError, "real numbers; got torch.complex64"),
        ({"a": torch.ones(3), "b": torch.ones(2)}, ValueError, "rows; got 't.a': 3, 't.b': 2"),
    ],
)
def test_fields_that_do_not_fit(fields, error, text):
    with pytest.raises(error, match=text):
        check_features({"t": fields})
