r"""The cross-modal layer of MMML: two streams that look at each other, then at themselves.

With tokens x of one stream, c of what it looks at, and m(c) the mask of the tokens of c that exist:

.. math::
    \mathrm{att}(x, c) &= \mathrm{softmax}\bigl(Q K^\top / \sqrt{d} + \log m(c)\bigr) V,
        \qquad Q = x W_q,\; K = c W_k,\; V = c W_v \\
    t' &= \mathrm{norm}(t + \mathrm{att}(t, a) W_o), \quad
    a' = \mathrm{norm}(a + \mathrm{att}(a, t) W_o) \\
    t'' &= \mathrm{norm}(t' + \mathrm{att}(t', t') W_o) \\
    t''' &= \mathrm{norm}(t'' + \mathrm{relu}(t'' W_1) W_2)

and likewise for a, every time with weights of its own. The normalisation comes last (post-norm).
Attributes are named as in the authors' checkpoints, so that those load as they are.
"""

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sure_pyro.backbones.seam import Tokens

EPSILON = 1e-12  # of the layer norms


class Attention(nn.Module):
    """Scaled dot-product attention of several heads: att(x, c)."""

    def __init__(self, width: int, num_heads: int, dropout: float):
        super().__init__()
        self.num_heads, self.dropout = num_heads, dropout
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))

    def forward(
        self, x: Float[Tensor, "B L D"], c: Float[Tensor, "B K D"], exists: Bool[Tensor, "B K"]
    ) -> Float[Tensor, "B L D"]:
        """Attend from `x` to the tokens of `c` that exist."""
        Q, K, V = (self._heads(y) for y in (self.query(x), self.key(c), self.value(c)))
        dropout = self.dropout if self.training else 0.0
        mask = exists[:, None, None]  # (B, 1, 1, K)
        y = F.scaled_dot_product_attention(Q, K, V, attn_mask=mask, dropout_p=dropout)
        return y.transpose(1, 2).flatten(2)

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)  # (B, heads, L, d)


class AddNorm(nn.Module):
    """norm(x + y W), with dropout of y W."""

    def __init__(self, size: int, width: int, dropout: float):
        super().__init__()
        self.dense = nn.Linear(size, width)
        self.LayerNorm = nn.LayerNorm(width, eps=EPSILON)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, y: Float[Tensor, "B L S"], x: Float[Tensor, "B L D"]
    ) -> Float[Tensor, "B L D"]:
        """Add what a sublayer found, `y`, to the tokens `x`."""
        return self.LayerNorm(x + self.dropout(self.dense(y)))


class CrossAttention(nn.Module):
    """One stream looks at the other."""

    def __init__(self, width: int, num_heads: int, dropout: float):
        super().__init__()
        self.att = Attention(width, num_heads, dropout)
        self.output = AddNorm(width, width, dropout)

    def forward(self, x: Tokens, other: Tokens) -> Tokens:
        """Tokens of `x` after they have looked at `other`."""
        y = self.att(x.values, other.values, other.exists)
        return Tokens(self.output(y, x.values), x.exists)


class SelfAttention(nn.Module):
    """A stream looks at itself."""

    def __init__(self, width: int, num_heads: int, dropout: float):
        super().__init__()
        self.self = Attention(width, num_heads, dropout)
        self.output = AddNorm(width, width, dropout)

    def forward(self, x: Tokens) -> Tokens:
        """Tokens of `x` after they have looked at each other."""
        y = self.self(x.values, x.values, x.exists)
        return Tokens(self.output(y, x.values), x.exists)


class Intermediate(nn.Module):
    """relu(x W), the wide half of the feed-forward layer."""

    def __init__(self, width: int, size: int):
        super().__init__()
        self.dense = nn.Linear(width, size)

    def forward(self, x: Float[Tensor, "B L D"]) -> Float[Tensor, "B L S"]:
        """Every token for itself."""
        return F.relu(self.dense(x))


class CrossModalLayer(nn.Module):
    """Cross-attention, self-attention and feed-forward layer of both streams.

    There is no positional encoding: the order of the tokens has no effect.

    Parameters
    ----------
    width : int
        D of both streams.
    num_heads, intermediate_size : int
    dropout : float
        Of the attention weights and of what each sublayer adds.
    """

    def __init__(self, width: int, num_heads: int, intermediate_size: int, dropout: float):
        super().__init__()
        self.lang_attention = CrossAttention(width, num_heads, dropout)
        self.audio_attention = CrossAttention(width, num_heads, dropout)
        self.lang_self_att = SelfAttention(width, num_heads, dropout)
        self.audio_self_att = SelfAttention(width, num_heads, dropout)
        self.lang_inter = Intermediate(width, intermediate_size)
        self.lang_output = AddNorm(intermediate_size, width, dropout)
        self.audio_inter = Intermediate(width, intermediate_size)
        self.audio_output = AddNorm(intermediate_size, width, dropout)

    def forward(self, text: Tokens, audio: Tokens) -> tuple[Tokens, Tokens]:
        """Both streams, one layer on; each looks at the other as it was before the layer."""
        text, audio = self.lang_attention(text, audio), self.audio_attention(audio, text)
        text, audio = self.lang_self_att(text), self.audio_self_att(audio)
        t = self.lang_output(self.lang_inter(text.values), text.values)
        a = self.audio_output(self.audio_inter(audio.values), audio.values)
        return Tokens(t, text.exists), Tokens(a, audio.exists)
