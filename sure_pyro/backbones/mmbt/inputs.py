"""What MMBT reads of a batch: token numbers with their mask and segments, and pixels."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from sure_pyro.data import Batch


class Text(NamedTuple):
    """Word pieces without [CLS] and [SEP], right-padded."""

    ids: Int64[Tensor, "B L"]
    exists: Bool[Tensor, "B L"]
    segment: Int64[Tensor, "B L"]


def read_text(batch: Batch, vocab_size: int, max_length: int, cls_id: int) -> Text:
    """Text of a batch, in the form that the network takes.

    Parameters
    ----------
    batch : Batch
        ``features["text"]`` are token numbers ``(B, L)``, or a mapping with ``input_ids`` and,
        where given, ``attention_mask`` and ``token_type_ids``. A token exists where neither the
        mask nor the padding of the batch says otherwise.
    vocab_size, max_length : int
        Token numbers and positions that the model knows.
    cls_id : int
        Token number of [CLS], which a tokenizer must not put in front: the image's is in use.

    Returns
    -------
    Text
        The segment is 1 where a token exists and nothing else is given.

    Raises
    ------
    ValueError
        If something is missing, has another shape, or lies outside its range, or if every text has
        what tokenizers add for BERT alone: a [CLS] in front, or segment 0 throughout.
    """
    given = batch.features["text"]
    parts = given if isinstance(given, Mapping) else {"input_ids": given}
    if "input_ids" not in parts:
        raise ValueError(f"The features of 'text' need 'input_ids'; got {list(parts)}.")
    ids = _whole("input_ids", parts["input_ids"], vocab_size)
    if ids.shape[1] > max_length:
        raise ValueError(
            f"The features of 'text' have {ids.shape[1]} tokens, the model has {max_length} "
            "positions. Cut the texts."
        )
    exists = _exists(batch, parts, ids)
    segment = parts.get("token_type_ids")
    segment = exists.long() if segment is None else _whole("token_type_ids", segment, 2)
    _check_shape("token_type_ids", segment, ids)
    text = Text(ids, exists, segment)
    _check_tokenizer(text, cls_id)
    return text


def read_image(batch: Batch) -> Float[Tensor, "B 3 h w"]:
    """Images of a batch.

    Raises
    ------
    ValueError
        If they are no floating tensor ``(B, 3, height, width)``.
    """
    image = batch.features["image"]
    if isinstance(image, Mapping) and len(image) == 1:
        (image,) = image.values()
    if not isinstance(image, Tensor) or image.ndim != 4 or image.shape[1] != 3:
        came = tuple(image.shape) if isinstance(image, Tensor) else list(image)
        raise ValueError(
            f"The features of 'image' must have shape (B, 3, height, width); got {came}."
        )
    if not image.is_floating_point():
        raise ValueError(
            f"The features of 'image' must be normalised floating pixels; got {image.dtype}. "
            "Divide by 255, subtract the channel means and divide by the channel spreads."
        )
    return image


def _check_tokenizer(text: Text, cls_id: int) -> None:
    """Raise ValueError if all texts look as they do for BERT without images."""
    some = text.exists.any(1)
    first = text.exists.int().argmax(1, keepdim=True)  # (B, 1)
    if some.any() and (text.ids.gather(1, first)[some] == cls_id).all():
        raise ValueError(
            f"Every text begins with [CLS], token {cls_id}; for MMBT it stands in front of the "
            "image. Call the tokenizer with `add_special_tokens=False`."
        )
    if some.any() and (text.segment[text.exists] == 0).all():
        raise ValueError(
            "The 'token_type_ids' of 'text' are 0 throughout, which is the segment of the image. "
            "Call the tokenizer with `return_token_type_ids=False`: text is in segment 1."
        )


def _exists(batch: Batch, parts: Mapping[str, Tensor], ids: Tensor) -> Tensor:
    exists = batch.padding.get("text", torch.ones_like(ids, dtype=torch.bool))
    if "attention_mask" not in parts:
        return exists
    mask = parts["attention_mask"]
    _check_shape("attention_mask", mask, ids)
    return exists & mask.bool()


def _whole(name: str, numbers: Tensor, count: int) -> Tensor:
    if numbers.is_floating_point() or numbers.ndim != 2:
        raise ValueError(
            f"The {name!r} of 'text' must be whole numbers of shape (B, L); got {numbers.dtype} "
            f"of shape {tuple(numbers.shape)}."
        )
    if ((numbers < 0) | (numbers >= count)).any():
        raise ValueError(
            f"The {name!r} of 'text' must lie in 0..{count - 1}; got {int(numbers.min())} to "
            f"{int(numbers.max())}. Was another tokenizer used?"
        )
    return numbers.long()


def _check_shape(name: str, tensor: Tensor, ids: Tensor) -> None:
    if tensor.shape != ids.shape:
        raise ValueError(
            f"The {name!r} of 'text' must have the shape of 'input_ids', {tuple(ids.shape)}; "
            f"got {tuple(tensor.shape)}."
        )
