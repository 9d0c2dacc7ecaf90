"""Padding masks: given, or read from an attention mask, and never contradictory."""

import pytest
import torch

from sure_pyro.data import Batch
from sure_pyro.data.padding import attention_mask

IDS = torch.arange(6).reshape(2, 3) + 1
MASK = torch.tensor([[1, 1, 0], [0, 0, 1]])


def text(mask=MASK, **options) -> Batch:
    fields = {"input_ids": IDS, "attention_mask": mask}
    return Batch({"text": fields, "v": torch.ones(2, 1)}, **options)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.float32, torch.bool])
def test_an_attention_mask_of_any_type_is_padding(dtype):
    assert text(MASK.to(dtype)).padding["text"].tolist() == MASK.bool().tolist()


def test_a_mask_of_pairs_of_tokens_is_no_padding():
    pairs = torch.ones(2, 3, 3)
    assert attention_mask({"attention_mask": pairs}, "t") is None
    assert attention_mask(IDS, "t") is None
    assert text(pairs).padding == {}


def test_both_may_be_given_if_they_agree():
    absent = torch.tensor([[True, True], [False, True]])
    given = torch.tensor([[True, True, False], [True, True, True]])  # the length of row 1: unknown
    assert torch.equal(text(available=absent, padding={"text": given}).padding["text"], given)
    with pytest.raises(ValueError, match=r"`padding\['text'\]` and .* differ in row 1 \(1 of 2\)"):
        text(padding={"text": given})


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"mask": MASK * 2}, ValueError, "must be 1 where .* and 0 at padding; it holds 2. If"),
        (
            {"mask": 0 * MASK},
            ValueError,
            "'text' is available but its attention_mask leaves no token in rows 0, 1",
        ),
        ({"padding": {"text": torch.ones(2, 5).bool()}}, ValueError, "of one of the fields"),
        ({"padding": {"text": torch.ones(2).bool()}}, ValueError, r"\(rows, L\) of one .* \(2,\)"),
        ({"padding": {"text": MASK}}, TypeError, "must be a bool tensor; got torch.int64"),
        ({"padding": {"text": torch.ones(3, 3).bool()}}, ValueError, r"got shape \(3, 3\)"),
        ({"padding": {"u": MASK.bool()}}, ValueError, r"`padding` names the modalities \['u'\]"),
    ],
)
def test_masks_that_do_not_fit(options, error, message):
    with pytest.raises(error, match=message):
        text(**options)
