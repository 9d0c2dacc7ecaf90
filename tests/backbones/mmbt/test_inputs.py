import pytest
import torch

from sure_pyro.backbones.mmbt.inputs import read_image, read_text
from tests.backbones.mmbt.conftest import make_batch

IDS = torch.tensor([[5, 6, 7], [8, 0, 0]])
MASK = torch.tensor([[1, 1, 1], [1, 0, 0]])


def with_text(**parts):
    return make_batch(2, 3)._with(features={"text": parts}, padding={})


def read(**parts):
    return read_text(with_text(**parts), vocab_size=10, max_length=4, cls_id=9)


def test_the_mask_says_what_exists_and_what_exists_is_in_segment_one():
    text = read(input_ids=IDS, attention_mask=MASK)
    assert text.ids.tolist() == IDS.tolist()
    assert text.exists.tolist() == [[True, True, True], [True, False, False]]
    assert text.segment.tolist() == MASK.tolist()


@pytest.mark.parametrize("dtype", [torch.bool, torch.int32, torch.float32])
def test_masks_of_any_dtype(dtype):
    assert (
        read(input_ids=IDS, attention_mask=MASK.to(dtype)).exists.tolist() == MASK.bool().tolist()
    )


def test_without_a_mask_everything_exists_but_padding():
    assert read(input_ids=IDS).exists.all()
    batch = make_batch(2, 3)
    assert read_text(batch, 128, 8, 101).exists.tolist() == batch.padding["text"].tolist()


def test_a_single_text_may_begin_with_anything():
    ids = torch.tensor([[9, 2, 3], [8, 0, 0]])
    assert read(input_ids=ids, attention_mask=MASK).ids.tolist() == ids.tolist()


def test_rows_without_a_token_say_nothing_of_the_tokenizer():
    zeros = torch.zeros(2, 3, dtype=torch.long)
    text = read(input_ids=zeros, attention_mask=zeros, token_type_ids=zeros)
    assert not text.exists.any()
    padded_left = {"input_ids": torch.tensor([[0, 9]]), "attention_mask": torch.tensor([[0, 1]])}
    with pytest.raises(ValueError, match=r"begins with \[CLS\]"):
        read(**padded_left)


def test_given_segments_are_kept():
    segment = torch.tensor([[0, 0, 1], [0, 0, 0]])
    assert read(input_ids=IDS, token_type_ids=segment).segment.tolist() == segment.tolist()


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"ids": IDS}, r"need 'input_ids'; got \['ids'\]"),
        ({"input_ids": IDS.float()}, r"whole numbers of shape \(B, L\); got torch.float32"),
        ({"input_ids": IDS[0]}, r"got torch.int64 of shape \(3,\)"),
        ({"input_ids": IDS + 3}, r"must lie in 0..9; got 3 to 11. Was another tokenizer used"),
        ({"input_ids": IDS - 1}, r"must lie in 0..9; got -1 to 7"),
        ({"input_ids": IDS.repeat(1, 2)}, r"have 6 tokens, the model has 4 positions. Cut"),
        ({"input_ids": IDS, "attention_mask": MASK[:, :2]}, r"\(2, 3\); got \(2, 2\)"),
        ({"input_ids": IDS, "token_type_ids": MASK + 1}, r"'token_type_ids' .* 0..1; got 1 to 2"),
        ({"input_ids": IDS, "token_type_ids": MASK[:1]}, r"'token_type_ids' .* got \(1, 3\)"),
        (
            {"input_ids": IDS, "token_type_ids": MASK * 0},
            r"are 0 throughout.*return_token_type_ids",
        ),
        ({"input_ids": torch.tensor([[9, 2], [9, 0]])}, r"begins with \[CLS\], token 9.*special"),
    ],
)
def test_bad_texts(parts, message):
    with pytest.raises(ValueError, match=message):
        read(**parts)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.zeros(2, 64, 64, 3), r"\(B, 3, height, width\); got \(2, 64, 64, 3\)"),
        (torch.zeros(2, 3, 64), r"got \(2, 3, 64\)"),
        ({"a": torch.zeros(2, 3), "b": torch.zeros(2)}, r"got \['a', 'b'\]"),
        (torch.zeros(2, 3, 64, 64, dtype=torch.uint8), r"floating pixels; got torch.uint8"),
    ],
)
def test_bad_images(image, message):
    with pytest.raises(ValueError, match=message):
        read_image(make_batch(2)._with(features={"image": image}))


def test_an_image_may_be_a_mapping_of_one():
    image = torch.randn(2, 3, 64, 64)
    assert read_image(make_batch(2)._with(features={"image": {"pixel_values": image}})) is image
