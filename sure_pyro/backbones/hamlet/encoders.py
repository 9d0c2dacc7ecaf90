"""One modality of HAMLET [Islam2020]_ to one vector: steps, recurrence, attention over time, sum.

A step is a video frame or a window of sensor samples. Steps that are padding are left out, wherever
they stand, so a clip says the same however it is padded.

References
----------
.. [Islam2020] HAMLET: a hierarchical multimodal attention-based human activity recognition
   algorithm. IROS, arXiv:2008.01148. There is no official implementation; what the paper leaves
   open follows common re-implementations.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sure_pyro.backbones.resnet import EXPANSION, trunk


class FrameEncoder(nn.Module):
    """ResNet features of a frame, averaged over its area and projected to E."""

    def __init__(self, width: int, blocks, resnet_width: int):
        super().__init__()
        self.resnet = trunk(blocks, resnet_width)
        self.project = nn.Linear(EXPANSION * 8 * resnet_width, width)

    def forward(self, frames: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n E"]:
        """One vector per frame."""
        return self.project(self.resnet(frames).mean((2, 3)))


class WindowEncoder(nn.Module):
    """Two convolutions over the samples of a window, averaged over time."""

    def __init__(self, width: int, channels: int):
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv1d(channels, width, 3, padding=1),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.Conv1d(width, width, 3, padding=1),
            nn.BatchNorm1d(width),
            nn.ReLU(),
        )

    def forward(self, windows: Float[Tensor, "n samples channels"]) -> Float[Tensor, "n E"]:
        """One vector per window."""
        return self.convolutions(windows.mT).mean(-1)


class SequenceEncoder(nn.Module):
    """Steps to one vector: LSTM, self-attention over time, sum over time, ReLU, dropout.

    Parameters
    ----------
    steps : nn.Module
        Encoder of one step: ``(n, *event)`` to ``(n, E)``.
    width : int
        E.
    num_layers, num_heads : int
        Of the LSTM and of the attention.
    dropout : float
    """

    def __init__(
        self, steps: nn.Module, width: int, num_layers: int, num_heads: int, dropout: float
    ):
        super().__init__()
        self.steps = steps
        self.lstm = nn.LSTM(width, width, num_layers, batch_first=True)
        self.attention = nn.MultiheadAttention(width, num_heads, batch_first=True)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Float[Tensor, "B S ..."], exists: Bool[Tensor, "B S"]
    ) -> Float[Tensor, "B E"]:
        """One vector per row; zero for a row in which no step exists."""
        z = self.steps(x.flatten(0, 1)).unflatten(0, exists.shape)  # (B, S, E)
        z, exists = to_the_left(z, exists)
        z, _ = self.lstm(z)
        # A row without steps would attend to nothing, which is NaN: it attends to all, unheard.
        hidden = ~exists & exists.any(1, keepdim=True)
        z, _ = self.attention(z, z, z, key_padding_mask=hidden, need_weights=False)
        z = torch.where(exists.unsqueeze(-1), z, torch.zeros_like(z))
        return self.dropout(z.sum(1).relu())


def to_the_left(
    z: Float[Tensor, "B S E"], exists: Bool[Tensor, "B S"]
) -> tuple[Float[Tensor, "B S E"], Bool[Tensor, "B S"]]:
    """Steps that exist, in their order, then zeros: an LSTM has left the last step before these."""
    order = (~exists).int().argsort(dim=1, stable=True)  # (B, S)
    z = torch.where(exists.unsqueeze(-1), z, torch.zeros_like(z))
    return z.gather(1, order.unsqueeze(-1).expand_as(z)), exists.gather(1, order)
