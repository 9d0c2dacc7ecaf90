"""How the modalities of a batch become the keyword inputs of a model of ``transformers``.

The keywords are those that its processors and tokenizers give. A modality of one tensor goes to the
keyword of its kind, one of several fields by their own names. The mask of a padded modality is
handed over where the model takes one, and padding holds the token that the model knows as padding.
"""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sure_pyro.data import Batch

KINDS = {
    "input_ids": ("text", "attention_mask"),
    "pixel_values": ("image", "pixel_mask"),
    "input_features": ("audio", "input_features_mask"),
    "input_values": ("audio", "padding_mask"),
    "visual_feats": ("image", "visual_attention_mask"),
    "visual_embeds": ("image", "visual_attention_mask"),
    "pixel_values_videos": ("video", "padding_mask_videos"),
}
"""By the keyword of the main input: the usual name of its modality, and the keyword of its mask."""


class Inputs:
    """Call a model with the features of a batch by keyword.

    Parameters
    ----------
    main : mapping of str to str
        Modality to the keyword of its main input, in the order of the modalities.
    pad_token_id : int, optional
        What stands in the padding of ``input_ids``. A `Batch` holds zeros there, which is another
        token for many models, and some count their positions by it.
    """

    def __init__(self, main: Mapping[str, str], pad_token_id: int | None = None):
        self.main, self.pad_token_id = dict(main), pad_token_id

    def __call__(self, net: nn.Module, batch: Batch) -> Any:
        """Run the model."""
        taken = takes(net)
        arguments: dict[str, Tensor] = {}
        for name, main in self.main.items():
            for keyword, x in self._fields(net, batch, name, main, taken).items():
                if keyword in arguments:
                    raise ValueError(
                        f"Two modalities give {keyword!r} to {type(net).__name__}; {name!r} is the "
                        "second. Pass `call=lambda net, batch: net(...)`."
                    )
                arguments[keyword] = x
        return net(**arguments)

    def _fields(self, net, batch: Batch, name: str, main: str, taken) -> dict[str, Tensor]:
        features = batch.features.get(name)
        if features is None:
            raise ValueError(
                f"{type(net).__name__} takes the modalities {list(self.main)}; the batch has "
                f"{list(batch.features)}. Name them so, or say which keyword each of yours is: "
                f"`inputs={{{next(iter(batch.features))!r}: {main!r}, ...}}`."
            )
        given = dict(features) if isinstance(features, Mapping) else {main: features}
        unknown = [keyword for keyword in given if keyword not in taken]
        if unknown:
            raise ValueError(
                f"`forward` of {type(net).__name__} has no input {unknown[0]!r}, which modality "
                f"{name!r} holds; it has {sorted(taken)}."
            )
        exists = batch.padding.get(name)
        if exists is None:
            return given
        mask = KINDS.get(main, ("", ""))[1]
        if mask in taken and mask not in given and exists.shape == given[main].shape[:2]:
            given[mask] = exists.long()
        return given | self._padded(given, exists)

    def _padded(self, given: Mapping[str, Tensor], exists: Tensor) -> dict[str, Tensor]:
        ids = given.get("input_ids")
        if ids is None or self.pad_token_id is None or ids.shape != exists.shape:
            return {}
        return {"input_ids": torch.where(exists, ids, self.pad_token_id)}


def takes(net: nn.Module) -> dict[str, inspect.Parameter]:
    """Keyword inputs of a model by name."""
    parameters = inspect.signature(net.forward).parameters
    return {
        n: p for n, p in parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    }


def main_inputs(net: nn.Module, inputs: Mapping[str, str] | None) -> dict[str, str]:
    """Modality to the keyword of its main input: as given, or as the signature tells.

    Raises
    ------
    ValueError
        If a keyword is no input of the model, or it is not clear which inputs are modalities.
    """
    taken = takes(net)
    if inputs is not None:
        unknown = [keyword for keyword in inputs.values() if keyword not in taken]
        if unknown:
            raise ValueError(
                f"`inputs` names {unknown}; `forward` of {type(net).__name__} has {sorted(taken)}."
            )
        return dict(inputs)
    found = [(KINDS[keyword][0], keyword) for keyword in taken if keyword in KINDS]
    main = dict(found)
    if len(main) < 2 or len(main) < len(found):
        raise ValueError(
            f"The inputs of {type(net).__name__} do not tell its modalities; `forward` has "
            f"{sorted(taken)}. Pass the main input of each: `inputs={{'text': 'input_ids', "
            "'image': 'pixel_values'}`."
        )
    return main
