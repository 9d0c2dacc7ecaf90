"""Random numbers come from a seed or a generator of the caller, never from the global state."""

import torch

Seed = int | torch.Generator


def generator(seed: Seed) -> torch.Generator:
    """CPU generator for a seed; a generator is handed back as it is.

    Draws are made on the CPU and moved, so that every device sees the same ones.
    """
    if isinstance(seed, torch.Generator):
        return seed
    return torch.Generator().manual_seed(int(seed))
