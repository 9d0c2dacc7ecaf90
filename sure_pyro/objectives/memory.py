"""Pairs of past batches, which enlarge the sample that a correlation rests on."""

import torch
from torch import Tensor

Pair = tuple[Tensor, Tensor, Tensor]
"""u, e and mask, ``(G, n)`` each."""


class PairMemory:
    """The last pairs of every site, detached.

    A correlation over the pairs of this batch *and* of the memory has the noise of the larger
    sample. Past pairs carry no gradient, so of the sum over pairs that makes up the gradient only
    this batch's share is there; it is multiplied by ``pairs / pairs of this batch``, so that it
    stands for the whole and lambda keeps its meaning. The value is not changed. What is
    remembered was computed by earlier parameters: keep the memory short against the pace of the
    training, a few hundred to a few thousand rows.

    Parameters
    ----------
    size : int
        Pairs kept for each site.
    """

    def __init__(self, size: int):
        self.size = size
        self.pairs: dict[str, Pair] = {}

    def extended(self, name: str, u: Tensor, e: Tensor, mask: Tensor) -> Pair:
        """Pairs of this batch and of the memory, which remembers those of this batch."""
        past = self.pairs.get(name)
        self._remember(name, u, e, mask)
        if past is None:
            return u, e, mask
        everything = torch.cat([mask, past[2]], -1)
        share = everything.sum(-1, keepdim=True) / mask.sum(-1, keepdim=True).clamp(min=1)
        u, e = (x.detach() + share.to(x) * (x - x.detach()) for x in (u, e))
        return torch.cat([u, past[0]], -1), torch.cat([e, past[1]], -1), everything

    def _remember(self, name: str, u: Tensor, e: Tensor, mask: Tensor) -> None:
        counts = mask.any(0)  # a row that counts in no group is not worth its place
        u, e, mask = (x[:, counts].detach() for x in (u, e, mask))
        if name in self.pairs:
            u, e, mask = (
                torch.cat([now, past], -1)
                for now, past in zip((u, e, mask), self.pairs[name], strict=True)
            )
        self.pairs[name] = (u[:, : self.size], e[:, : self.size], mask[:, : self.size])

    def state(self) -> dict[str, Tensor]:
        """Tensors by ``"<site>/<u, e or mask>"``, for a checkpoint."""
        return {
            f"{name}/{part}": x
            for name, pair in self.pairs.items()
            for part, x in zip(("u", "e", "mask"), pair, strict=True)
        }

    def load(self, state: dict[str, Tensor]) -> None:
        """Put back what `state` gave."""
        names = {key.rpartition("/")[0] for key in state}
        self.pairs = {n: (state[f"{n}/u"], state[f"{n}/e"], state[f"{n}/mask"]) for n in names}
