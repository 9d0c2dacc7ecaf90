"""The forms in which a batch may hold text and audio."""

import pytest
import torch

from sure_pyro.backbones.mmml.features import masked_feature
from sure_pyro.data import Batch

IDS = torch.tensor([[0, 9, 2, 1], [0, 8, 7, 2]])
MASK = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]])
WAVE = torch.randn(2, 2000)


def batch(text=IDS, audio=WAVE, **options):
    return Batch({"text": text, "audio": audio}, **options)


def test_a_plain_tensor_exists_in_full():
    x, exists = masked_feature(batch(), "audio")
    assert torch.equal(x, WAVE)
    assert exists.all()
    assert exists.shape == WAVE.shape


def test_padding_of_the_batch_is_the_mask():
    data = batch(padding={"text": MASK == 1})
    assert torch.equal(masked_feature(data, "text")[1], MASK == 1)


@pytest.mark.parametrize("dtype", [torch.int64, torch.float32, torch.bool])
def test_fields_as_a_tokenizer_gives_them(dtype):
    fields = {"input_ids": IDS, "attention_mask": MASK.to(dtype)}
    x, exists = masked_feature(batch(text=fields), "text")
    assert torch.equal(x, IDS * MASK)
    assert torch.equal(exists, MASK == 1)
    assert masked_feature(batch(audio={"input_values": WAVE}), "audio")[1].all()


@pytest.mark.parametrize("form", ["padding", "fields"])
def test_nothing_exists_in_absent_rows(form):
    available = torch.tensor([[False, True], [True, True]])
    if form == "padding":
        data = batch(available=available, padding={"text": MASK == 1})
    else:
        data = batch({"input_ids": IDS, "attention_mask": MASK}, available=available)
    assert masked_feature(data, "text")[1].tolist() == [[False] * 4, [True] * 4]


@pytest.mark.parametrize(
    ("options", "name", "text"),
    [
        ({}, "text_context", r"needs the modality 'text_context'; the batch has \('text', 'audio'"),
        ({"text": {"ids": IDS}}, "text", r"'text' needs the field 'input_ids'; got \['ids'\]"),
        ({"text": IDS.float()}, "text", r"'text' must be integer token ids.*got torch.float32"),
        ({"audio": IDS}, "audio", r"'audio' must be floating samples.*got torch.int64 \(2, 4\)"),
        ({"audio": WAVE[..., None]}, "audio", r"\(B, L\); got torch.float32 \(2, 2000, 1\)"),
    ],
)
def test_what_is_refused(options, name, text):
    with pytest.raises(ValueError, match=text):
        masked_feature(batch(**options), name)
