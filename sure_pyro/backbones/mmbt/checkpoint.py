"""Official checkpoints of MMBT, read without running anything that they hold.

The official trainer saves ``{epoch, state_dict, optimizer, scheduler, n_no_improve, best_metric}``
with pickle, and `best_metric` is a NumPy scalar, at which PyTorch's safe loading stops. To admit
NumPy's own functions would let a file choose the flags of a data type, so they stay out: the names
that such a scalar needs are bound to `Skipped`, which keeps nothing and calls nothing. Anything
else but tensors and plain values ends in an error.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor


class Skipped:
    """Stands where a file has a NumPy scalar or data type; forgets whatever it is given."""

    def __init__(self, *args):
        pass

    def __setstate__(self, state) -> None:
        pass


SKIPPED = (
    "numpy.core.multiarray.scalar",  # before NumPy 2
    "numpy._core.multiarray.scalar",
    "numpy.dtype",
)


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """State dict of an official checkpoint, on the CPU.

    Parameters
    ----------
    path : str or Path
        Of a dictionary with ``state_dict``, or of a bare state dict.

    Returns
    -------
    dict of Tensor
        By their official names. Metrics and the state of the optimiser are left in the file.

    Raises
    ------
    ValueError
        If the file is no checkpoint, or holds anything that safe loading refuses; nothing of it
        has been run then.
    """
    with open(path, "rb") as file:
        content = _load(file, path)
    state = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping) or not all(_is_weight(*item) for item in state.items()):
        raise ValueError(f"{path} holds no 'state_dict' of tensors by name.")
    return dict(state)


def _load(file: BinaryIO, path: str | Path) -> Any:
    try:
        with torch.serialization.safe_globals([(Skipped, name) for name in SKIPPED]):
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # of many kinds: a broken file stops the reader anywhere
        raise ValueError(
            f"{path} can not be read safely: {_reason(error)}. Only tensors and plain values are "
            "read, and nothing was run. If you trust its source, load it with the official code "
            'and save the tensors alone: `torch.save({"state_dict": model.state_dict()}, path)`.'
        ) from error


def sizes(state: Mapping[str, Tensor], num_heads: int | None) -> dict[str, Any]:
    """Keywords of `MMBT` that a state dict tells by its names and shapes.

    Parameters
    ----------
    state : mapping of str to Tensor
        By official names.
    num_heads : int, optional
        Attention heads; by default one for every 64 of D.

    Returns
    -------
    dict
        ``num_labels``, ``bert``, ``blocks``, ``width``.

    Raises
    ------
    ValueError
        If a tensor that tells a size is not there.
    """
    try:
        vocab_size, D = state["enc.txt_embeddings.word_embeddings.weight"].shape
        bert = {
            "vocab_size": vocab_size,
            "hidden_size": D,
            "num_hidden_layers": _count(state, r"enc\.encoder\.layer\.(\d+)\."),
            "num_attention_heads": num_heads or max(D // 64, 1),
            "intermediate_size": len(state["enc.encoder.layer.0.intermediate.dense.bias"]),
            "max_position_embeddings": len(state["enc.txt_embeddings.position_embeddings.weight"]),
        }
        return {
            "num_labels": len(state["clf.bias"]),
            "bert": bert,
            "blocks": [
                _count(state, rf"enc\.img_encoder\.model\.{i}\.(\d+)\.") for i in range(4, 8)
            ],
            "width": len(state["enc.img_encoder.model.0.weight"]),
        }
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"The state dict is not that of MMBT: {error} is not there, or not of such a shape; it "
            f"has {len(state)} tensors, such as {list(state)[:3]}."
        ) from error


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    """How many different numbers the pattern finds in the names."""
    found = (re.match(pattern, name) for name in state)
    return len({match[1] for match in found if match})


def _is_weight(name: Any, x: Any) -> bool:
    """Whether it is a tensor by name that is as large in the file as it says it is."""
    if not isinstance(name, str) or not isinstance(x, Tensor) or x.layout != torch.strided:
        return False
    return x.device.type == "cpu" and x.numel() * x.element_size() <= x.untyped_storage().nbytes()


def _reason(error: Exception) -> str:
    """What stopped the reader: the name that the file wanted called, or the error's own words."""
    wanted = re.search(r"GLOBAL (\S+)", str(error))
    if wanted:
        return f"it holds {wanted[1]}"
    return (str(error.__context__ or error).splitlines() or [type(error).__name__])[0].rstrip(".")
