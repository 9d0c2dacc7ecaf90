"""What latents depend on: a digest of an encoder's weights, and the settings beside it."""

import hashlib
from typing import Any

from torch import nn

from sure_pyro.data.store.shard import as_bytes


def fingerprint(encoder: nn.Module, **settings: Any) -> dict[str, Any]:
    """Class and weights of an encoder, and what else its latents depend on.

    Parameters
    ----------
    encoder : nn.Module
    **settings
        JSON values, such as the dataset's options and the tokenizer's name.

    Returns
    -------
    dict
        ``encoder``, ``weights`` (SHA-256 of parameters and buffers with their names), and settings.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(encoder.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        digest.update(as_bytes(tensor))
    return {"encoder": type(encoder).__name__, "weights": digest.hexdigest()} | settings
