import pytest
import torch

import sure_pyro as sp
from sure_pyro.backbones.stand_in import (
    complete_rows,
    from_tensors,
    repeated,
    stand_in,
    to_tensors,
    with_stand_ins,
)
from sure_pyro.data import Batch


def gappy():
    """The text of row 0 and the image of the others are absent; lengths differ."""
    exists = torch.tensor([[1, 1, 1], [1, 0, 0], [0, 1, 1], [1, 1, 0]]).bool()
    ids = torch.arange(1, 13).reshape(4, 3) * exists
    available = torch.tensor([[1, 0], [0, 1], [0, 1], [0, 1]]).bool()
    text = {"ids": ids, "mask": exists.long()}
    image = torch.arange(8.0).reshape(4, 2)
    return Batch({"image": image, "text": text}, available, padding={"text": exists})


def test_rows_are_put_together_from_those_that_have_a_modality():
    rows = complete_rows(gappy(), 3)
    assert rows.available.all()
    assert torch.equal(rows.features["image"], torch.tensor([[0.0, 1.0]]).expand(3, 2))
    assert rows.features["text"]["ids"].tolist() == [[0, 8, 9], [10, 11, 0], [4, 0, 0]]


def test_every_token_of_a_row_that_stands_in_exists():
    stand = stand_in(gappy())
    assert stand.features["text"]["ids"].tolist() == [[8, 8, 9], [10, 11, 10]]
    assert stand.features["text"]["mask"].all()
    assert stand.padding["text"].all()


def test_absent_modalities_get_the_features_of_one_and_others_keep_theirs():
    batch = gappy()
    filled = with_stand_ins(batch, stand_in(batch))
    assert filled.features["text"]["ids"][0].tolist() == [8, 8, 9]
    assert torch.equal(filled.features["text"]["ids"][1:], batch.features["text"]["ids"][1:])
    assert (filled.features["image"] == torch.tensor([0.0, 1.0])).all()


def test_a_text_ends_with_its_last_token_wherever_it_ends():
    exists = torch.tensor([[1, 1, 1, 0, 0], [0, 0, 1, 1, 0]]).bool()
    ids = torch.tensor([[1, 7, 2, 0, 0], [0, 0, 1, 2, 0]])
    fields = Batch({"text": {"input_ids": ids, "attention_mask": exists.long()}})
    plain = Batch({"text": ids}, padding={"text": exists})
    other = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 1, 0], [0, 1, 1, 1, 1]]).bool()
    for batch, of in ((fields, lambda x: x["input_ids"]), (plain, lambda x: x)):
        stand = stand_in(batch)
        assert of(stand["text"]).tolist() == [[1, 7, 1, 1, 2], [1, 1, 1, 1, 2]]
        rows = repeated(stand, 3, {"text": other}, copied=False)
        assert of(rows["text"]).tolist() == [[1, 7, 1, 1, 2], [1, 7, 1, 2, 0], [0, 7, 1, 1, 2]]


@pytest.mark.parametrize("copied", [False, True])
def test_as_many_rows_as_needed_padded_as_asked(copied):
    exists = torch.tensor([[True, True, False]] * 4 + [[True] * 3])
    rows = repeated(stand_in(gappy()), 5, {"text": exists}, copied)
    assert rows.features["text"]["ids"].tolist() == [[8, 8, 0]] * 4 + [[8, 8, 9]]
    assert rows.features["text"]["mask"].bool().equal(exists)
    assert rows.features["image"].shape == (5, 2)
    assert (rows.features["image"].stride(0) == 0) != copied


def test_they_are_saved_by_name():
    stand = stand_in(gappy())
    named = to_tensors(stand)
    assert set(named) == {
        "features/image",
        "features/text/ids",
        "features/text/mask",
        "padding/text",
    }
    again = from_tensors(named, ("image", "text"))
    assert again.modalities == ("image", "text")
    assert torch.equal(again.features["text"]["ids"], stand.features["text"]["ids"])
    assert from_tensors(to_tensors(None), ("image", "text")) is None


def test_a_modality_that_no_row_has_stays_zero():
    batch = sp.from_arrays(
        {"a": torch.randn(3, 2), "b": torch.randn(3, 2)},
        available={"b": torch.zeros(3, dtype=torch.bool)},
    )
    assert (stand_in(batch).features["b"] == 0).all()
