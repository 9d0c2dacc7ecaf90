"""Tensors of a batch in the form in which the encoders of MMML take them."""

from collections.abc import Mapping

from jaxtyping import Bool
from torch import Tensor

from sure_pyro.data import Batch
from sure_pyro.data.fields import tokens_of

KEYS = {"text": "input_ids", "audio": "input_values"}
"""What the tokenizer and the feature extractor of transformers call their outputs."""


def masked_feature(batch: Batch, name: str) -> tuple[Tensor, Bool[Tensor, "B L"]]:
    """Token ids or samples of a modality, ``(B, L)``, and which of them exist; none in absent rows.

    Parameters
    ----------
    batch : Batch
        Its feature has the fields ``input_ids`` (text) or ``input_values`` (audio) and
        ``attention_mask``, as transformers gives them, or is the first of the two alone, with the
        mask as ``batch.padding``. Without any mask all exist.
    name : str

    Raises
    ------
    ValueError
        If the modality is not there, or in another form.
    """
    key = KEYS[name.partition("_")[0]]
    if name not in batch.features:
        raise ValueError(f"MMML needs the modality {name!r}; the batch has {batch.modalities}.")
    feature = batch.features[name]
    if isinstance(feature, Mapping):
        if key not in feature:
            raise ValueError(f"The feature {name!r} needs the field {key!r}; got {list(feature)}.")
        feature = feature[key]
    if feature.ndim != 2 or feature.is_floating_point() != (key == "input_values"):
        wanted = "floating samples" if key == "input_values" else "integer token ids"
        raise ValueError(
            f"The feature {name!r} must be {wanted} of shape (B, L); got {feature.dtype} "
            f"{tuple(feature.shape)}."
        )
    available = batch.available[:, [batch.modalities.index(name)]].expand(feature.shape)
    tokens = tokens_of(feature, batch.padding.get(name))
    return feature, available if tokens is None else available & tokens
