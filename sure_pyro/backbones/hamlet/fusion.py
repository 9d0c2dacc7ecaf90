"""The fusion of HAMLET: attention over the M modality vectors of a row."""

from jaxtyping import Float
from torch import Tensor, nn

MERGES = ("concatenation", "sum")


class Fusion(nn.Module):
    """Batch norm over M, ReLU, attention over M tokens, batch norm, ReLU, dropout, merge.

    Parameters
    ----------
    num_modalities : int
        M.
    width : int
        E.
    num_heads : int
        Of the attention.
    dropout : float
    merge : {"concatenation", "sum"}
        Representation of ``M * E``, or of E.
    """

    def __init__(self, num_modalities: int, width: int, num_heads: int, dropout: float, merge: str):
        super().__init__()
        self.before, self.after = nn.BatchNorm1d(num_modalities), nn.BatchNorm1d(num_modalities)
        self.attention = nn.MultiheadAttention(width, num_heads, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.merge = merge

    def forward(self, z: Float[Tensor, "B M E"]) -> Float[Tensor, "B H"]:
        """Representation h = omega(z), equation 4."""
        z = self.before(z).relu()
        z, _ = self.attention(z, z, z, need_weights=False)
        z = self.dropout(self.after(z).relu())
        return z.sum(1) if self.merge == "sum" else z.flatten(1)
