"""One network per target that sees every visible latent and the mask; linear in M."""

from collections.abc import Iterable, Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sure_pyro.models.evidence import evidential_loc_scale
from sure_pyro.models.reconstructor import (
    LocScale,
    Reconstructor,
    fully_connected,
    loc_scale,
)


class MaskedReconstructor(Reconstructor):
    """Shared first layer, then five layers per target (equation 2).

    Every modality has one embedding into a common width: of its visible tokens, or a learned
    vector that says "absent". Their sum is the context c, and each target has a network of its own
    from c to (mu_i, sigma_i). For vectors this is what one network on the concatenation of the
    latents and the mask computes, with the first of its six layers shared between the targets.

    Parameters and cost grow linearly in M: one embedding and one network per modality.

    Parameters
    ----------
    shapes : dict of (int, int)
        ``(L_i, D_i)`` per modality.
    width : int
        Of the context and the hidden layers.
    dropout : float
        Between the layers.
    evidential : bool
        Give an `EvidentialLocScale`: as from how much evidence location and scale are known. The
        last layers then have four outputs per entry. For the objective ``"evidential"``.
    """

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, int]],
        width: int = 128,
        dropout: float = 0.1,
        evidential: bool = False,
    ):
        super().__init__(shapes)
        self.read = evidential_loc_scale if evidential else loc_scale
        numbers = 4 if evidential else 2
        self.embeddings = nn.ModuleList(
            nn.Linear(D, width) if L == 1 else TokenPool(L, D, width) for L, D in shapes.values()
        )
        self.absent = nn.Parameter(0.1 * torch.randn(len(shapes), width))
        self.decoders = nn.ModuleList(
            VectorDecoder(numbers * D, width, dropout)
            if L == 1
            else TokenDecoder(L, D, numbers * D, width, dropout)
            for L, D in shapes.values()
        )

    def forward(self, values, visible) -> dict[str, LocScale]:
        """See `Reconstructor.forward`."""
        context = self.context(values, visible)
        return {
            name: self.read(decoder(context, values[name], visible[name]))
            for name, decoder in zip(self.shapes, self.decoders, strict=True)
        }

    def context(
        self, values: Mapping[str, Tensor], visible: Mapping[str, Tensor]
    ) -> Float[Tensor, "B W"]:
        """See `summed_embeddings`."""
        return summed_embeddings(self.shapes, self.embeddings, self.absent, values, visible)


def summed_embeddings(
    names: Iterable[str],
    embeddings: nn.ModuleList,
    absent: Float[Tensor, "M W"],
    values: Mapping[str, Tensor],
    visible: Mapping[str, Tensor],
) -> Float[Tensor, "B W"]:
    """Sum of the modalities' embeddings, each replaced by its "absent" vector if unseen."""
    embedded = []
    for name, embed, instead in zip(names, embeddings, absent, strict=True):
        z, v = values[name], visible[name]
        own = embed(z.squeeze(1)) if z.shape[1] == 1 else embed(z, v)
        embedded.append(torch.where(v.any(-1, keepdim=True), own, instead))
    return torch.stack(embedded).sum(0)


class TokenPool(nn.Module):
    """Embed the visible tokens of a sequence and pool them with a few learned queries.

    The pooled weights are a softmax over the visible tokens, so that order (through learned
    positions) and content both count, and a sequence with gaps is read without them.
    """

    def __init__(self, L: int, D: int, width: int, num_queries: int = 4):
        super().__init__()
        self.embed = nn.Linear(D, width)
        self.position = nn.Parameter(0.1 * torch.randn(L, width))
        self.query = nn.Linear(width, num_queries)
        self.out = nn.Linear(num_queries * width, width)

    def forward(self, z: Float[Tensor, "B L D"], visible: Bool[Tensor, "B L"]) -> Tensor:
        """Embedding of each row's visible tokens, ``(B, W)``."""
        tokens = F.gelu(self.embed(z) + self.position)  # (B, L, W)
        scores = self.query(tokens)  # (B, L, K)
        # The lowest number rather than -inf: a row without a visible token stays finite, and its
        # result is replaced by the "absent" vector.
        scores = scores.masked_fill(~visible.unsqueeze(-1), torch.finfo(scores.dtype).min)
        pooled = scores.softmax(1).transpose(1, 2) @ tokens  # (B, K, W)
        return self.out(pooled.flatten(1))


class VectorDecoder(nn.Module):
    """Five layers from the context to (mu, sigma) of a vector latent."""

    def __init__(self, num_outputs: int, width: int, dropout: float):
        super().__init__()
        self.network = nn.Sequential(
            nn.GELU(), nn.Dropout(dropout), fully_connected((*[width] * 5, num_outputs), dropout)
        )

    def forward(self, context, own_values, own_visible) -> Float[Tensor, "B 1 _"]:
        """Numbers of each entry; a vector that is hidden shows nothing of itself."""
        return self.network(context).unsqueeze(1)


class TokenDecoder(nn.Module):
    """Context and position of a token, and what is visible of its own sequence, to (mu, sigma).

    Each token looks at the visible tokens of its own sequence by attention, so that a gap is
    filled from its neighbours; a learned empty token is always there, for sequences that are
    wholly absent.
    """

    def __init__(self, L: int, D: int, num_outputs: int, width: int, dropout: float):
        super().__init__()
        self.position = nn.Parameter(0.1 * torch.randn(L, width))
        self.embed = nn.Linear(D, width)
        self.empty = nn.Parameter(0.1 * torch.randn(width))
        self.attention = nn.MultiheadAttention(width, 4, batch_first=True)
        self.network = nn.Sequential(
            nn.GELU(), nn.Dropout(dropout), fully_connected((*[width] * 4, num_outputs), dropout)
        )

    def forward(self, context, own_values, own_visible) -> Float[Tensor, "B L _"]:
        """Numbers of each entry, token by token."""
        B, L, _ = own_values.shape
        query = context.unsqueeze(1) + self.position  # (B, L, W)
        empty = self.empty.expand(B, 1, -1)
        keys = torch.cat([empty, self.embed(own_values) + self.position], 1)  # (B, 1 + L, W)
        hidden = torch.cat([own_visible.new_zeros(B, 1), ~own_visible], 1)
        neighbours, _ = self.attention(query, keys, keys, hidden, need_weights=False)
        return self.network(query + neighbours)
