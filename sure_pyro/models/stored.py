"""Latents that stay on disk: read in blocks, standardised as they are read."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool
from safetensors.torch import load_file, save_file
from torch import Tensor

from sure_pyro.backbones import Backbone
from sure_pyro.backbones.stand_in import from_tensors, to_tensors
from sure_pyro.data import Batch
from sure_pyro.data.store import LatentStore
from sure_pyro.files import replacing
from sure_pyro.models.latents import Latents

if TYPE_CHECKING:
    from sure_pyro.models.space import LatentSpace


STAND_IN = "stand_in.safetensors"


def write_stand_in(folder: Path, backbone: Backbone) -> None:
    """Keep the rows that stand in beside the latents, for a fusion in another process."""
    if backbone.stand_in is not None:
        with replacing(folder / STAND_IN) as file:
            save_file(
                {
                    k: x.detach().cpu().contiguous()
                    for k, x in to_tensors(backbone.stand_in).items()
                },
                file,
            )


def stand_in_of(store: LatentStore) -> Batch | None:
    """Rows that stand in, if the store has any."""
    file = store.folder / STAND_IN
    return from_tensors(load_file(file), store.modalities) if file.is_file() else None


class StoredLatents:
    """What `Latents` is to training, for a store of any size: memory holds a few shards.

    Parameters
    ----------
    space : LatentSpace
    store : LatentStore
    """

    def __init__(self, space: "LatentSpace", store: LatentStore):
        self.space, self.store = space, store

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modality names, in order."""
        return self.store.modalities

    @property
    def present(self) -> Bool[Tensor, "B M"]:
        """Modalities of which something was recorded."""
        return self.store.available

    @property
    def target(self) -> Tensor | None:
        """As in `Batch`."""
        return self.store.target

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, rows) -> Latents:
        return self.space.encode(self.store.batch(rows))

    def batches(
        self, batch_size: int, generator: torch.Generator | None = None
    ) -> Iterator[Latents]:
        """All rows, some at a time: shards in random order, and rows within a few shards."""
        seed = int(torch.randint(2**62, (), generator=generator))
        for fields in self.store.blocks(batch_size, shuffle_seed=seed):
            yield self.space.encode(self.store.as_batch(fields))
