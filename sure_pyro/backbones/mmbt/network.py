"""The network of MMBT [Kiela2019]_: BERT reads image tokens in front of the words.

An image becomes N tokens: a ResNet's feature map, averaged over N regions and projected to the
width of BERT. They stand between [CLS] and [SEP] at positions 0..N+1 in segment 0; the words follow
in segment 1, at positions that start again from 0. The pooled [CLS] is the representation.

The modules bear the names of the official implementation, so that a state dict of one fits the
other: ``enc.*`` is `Encoder`, with a classifier that nothing uses, as there.

References
----------
.. [Kiela2019] Supervised multimodal bitransformers for classifying images and text.
   arXiv:1909.02950.
"""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from sure_pyro.backbones.resnet import EXPANSION, trunk

# fmt: off
REGIONS = {
    1: (1, 1), 2: (2, 1), 3: (3, 1), 4: (2, 2), 5: (5, 1),
    6: (3, 2), 7: (7, 1), 8: (4, 2), 9: (3, 3),
}
# fmt: on
"""Rows and columns into which a feature map is pooled, by the number of image embeddings N."""

MASKED = -10000.0
"""Added to the attention scores of tokens that do not exist; their weight is then exactly 0."""

TIED = ("word_embeddings", "position_embeddings", "token_type_embeddings", "LayerNorm")


def bert_model(config: Mapping[str, Any]) -> Any:
    """BERT of transformers with random weights, or the word on how to get transformers."""
    try:
        from transformers import BertConfig, BertModel
    except ImportError as error:
        raise ImportError("MMBT is built on transformers: pip install 'sure-pyro[hf]'.") from error
    return BertModel(BertConfig(**config))


class ImageEncoder(nn.Module):
    """ResNet features of an image, averaged over N regions.

    Parameters
    ----------
    num_image_embeds : int
        N, one of `REGIONS`.
    blocks, width
        Of the ResNet: see `sure_pyro.backbones.resnet.trunk`.
    """

    def __init__(self, num_image_embeds: int, blocks, width: int):
        super().__init__()
        self.model = trunk(blocks, width)
        self.pool = nn.AdaptiveAvgPool2d(REGIONS[num_image_embeds])
        self.channels = EXPANSION * 8 * width

    def forward(self, image: Float[Tensor, "B 3 h w"]) -> Float[Tensor, "B N K"]:
        """Features of the regions, row by row from the top left."""
        return self.pool(self.model(image)).flatten(2).transpose(1, 2)


class ImageEmbeddings(nn.Module):
    """Image tokens in the embedding space of BERT, between [CLS] and [SEP].

    Words, positions, segments and layer norm are those of the text: the very same modules, so that
    they stay tied whatever is loaded, copied or trained.

    Parameters
    ----------
    text : nn.Module
        The embeddings of a ``BertModel``.
    channels : int
        K, what the image encoder gives.
    cls_id, sep_id : int
        Token numbers of [CLS] and [SEP].
    """

    word_embeddings: nn.Embedding
    position_embeddings: nn.Embedding
    token_type_embeddings: nn.Embedding
    LayerNorm: nn.LayerNorm
    special_ids: Tensor

    def __init__(self, text: Any, channels: int, cls_id: int, sep_id: int):
        super().__init__()
        for name in TIED:
            setattr(self, name, getattr(text, name))
        self.img_embeddings = nn.Linear(channels, self.LayerNorm.normalized_shape[0])
        self.dropout = nn.Dropout(text.dropout.p)
        self.register_buffer("special_ids", torch.tensor([cls_id, sep_id]), persistent=False)

    def project(self, features: Float[Tensor, "B N K"]) -> Float[Tensor, "B N D"]:
        """Tap "proj": features in the width of BERT."""
        return self.img_embeddings(features)

    def embed(self, projected: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        """Tap "embed": image tokens with their positions 1..N and segment 0, normalised."""
        return self._place(projected, first=1)

    def block(self, embedded: Float[Tensor, "B N D"]) -> Float[Tensor, "B N+2 D"]:
        """[CLS], the embedded image tokens, [SEP]."""
        B, N, _ = embedded.shape
        cls, sep = self.word_embeddings(self.special_ids).expand(B, 2, -1).split(1, 1)
        return torch.cat([self._place(cls, first=0), embedded, self._place(sep, first=N + 1)], 1)

    def _place(self, tokens: Float[Tensor, "B n D"], first: int) -> Float[Tensor, "B n D"]:
        positions = torch.arange(first, first + tokens.shape[1], device=tokens.device)
        segment = self.token_type_embeddings(torch.zeros_like(positions))
        return self.dropout(self.LayerNorm(tokens + self.position_embeddings(positions) + segment))


class Encoder(nn.Module):
    """Image and text to the pooled [CLS].

    Parameters
    ----------
    bert : mapping
        Keywords of ``transformers.BertConfig``.
    num_labels, num_image_embeds : int
        C and N.
    blocks, width
        Of the ResNet.
    cls_id, sep_id : int
        Token numbers of [CLS] and [SEP].
    """

    def __init__(
        self,
        bert: Mapping[str, Any],
        num_labels: int,
        num_image_embeds: int,
        blocks,
        width: int,
        cls_id: int,
        sep_id: int,
    ):
        super().__init__()
        model = bert_model(bert)
        self.txt_embeddings = model.embeddings
        self.img_encoder = ImageEncoder(num_image_embeds, blocks, width)
        channels = self.img_encoder.channels
        self.img_embeddings = ImageEmbeddings(model.embeddings, channels, cls_id, sep_id)
        self.encoder, self.pooler = model.encoder, model.pooler
        self.clf = nn.Linear(model.config.hidden_size, num_labels)

    def forward(
        self,
        txt: Int64[Tensor, "B L"],
        mask: Bool[Tensor, "B L"],
        segment: Int64[Tensor, "B L"],
        img: Float[Tensor, "B 3 h w"],
    ) -> Float[Tensor, "B D"]:
        """Pooled [CLS] of whole rows, in one go."""
        image = self.img_embeddings.embed(self.img_embeddings.project(self.img_encoder(img)))
        return self.fuse(image, self.txt_embeddings(txt, token_type_ids=segment), mask)

    def fuse(
        self,
        image: Float[Tensor, "B N D"],
        text: Float[Tensor, "B L D"],
        exists: Bool[Tensor, "B L"],
    ) -> Float[Tensor, "B D"]:
        """Pooled [CLS] of embedded tokens; what stands where no token exists has no effect."""
        block = self.img_embeddings.block(image)
        # Zero, so that not even NaN or infinity at padding could reach a score.
        text = torch.where(exists.unsqueeze(-1), text, torch.zeros_like(text))
        exists = torch.cat([exists.new_ones(block.shape[:2]), exists], 1)  # (B, N+2+L)
        scores = (~exists).to(text).mul(MASKED)[:, None, None]  # (B, 1, 1, N+2+L)
        hidden = self.encoder(torch.cat([block, text], 1), attention_mask=scores)
        return self.pooler(hidden.last_hidden_state)

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args)
        error_messages = args[-1]
        for key, tensor in state_dict.items():
            name = key.removeprefix(f"{prefix}img_embeddings.")
            if name != key and name.startswith(TIED):
                text = state_dict.get(f"{prefix}txt_embeddings.{name}")
                if text is not None and not torch.equal(text, tensor):
                    error_messages.append(
                        f"{key} differs from the text's {name}, to which it is tied: the weights "
                        "are no MMBT."
                    )
