"""Latents on disk: encoded once, read in any order with bounded memory."""

from sure_pyro.data.store.fingerprints import fingerprint
from sure_pyro.data.store.store import LatentStore, row_blocks

__all__ = ["LatentStore", "row_blocks", "fingerprint"]
