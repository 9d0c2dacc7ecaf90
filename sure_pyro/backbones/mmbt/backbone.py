"""MMBT behind the seam: image tokens and words as latents, the transformer as fusion."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sure_pyro.backbones.mmbt.checkpoint import read_weights, sizes
from sure_pyro.backbones.mmbt.inputs import Text, read_image, read_text
from sure_pyro.backbones.mmbt.network import REGIONS, Encoder
from sure_pyro.backbones.resnet import RESNET152, load_torchvision
from sure_pyro.backbones.seam import Backbone, Latent, Tokens
from sure_pyro.data import Batch

TAPS = ("embed", "proj")


class MMBT(Backbone):
    """Image and text to logits of C labels, cut where the two meet.

    Features: ``"text"`` are token numbers, see `sure_pyro.backbones.mmbt.inputs.read_text`;
    ``"image"`` are normalised pixels ``(B, 3, 224, 224)``. Latents are sequences of D:

    ========  =======================================  ==========================================
    tap       image ``(B, N, D)``                      text, `Tokens` ``(B, L, D)``
    ========  =======================================  ==========================================
    "embed"   image tokens after the embedding layer   words after the embedding layer
    "proj"    image tokens after the projector         word embeddings
    ========  =======================================  ==========================================

    With "embed" a latent knows its position and has passed the layer norm; with "proj" positions,
    segments and layer norm belong to `fuse`. [CLS] and [SEP] stand beside the image tokens and
    depend on the weights alone, so they belong to `fuse`: a missing image leaves them in place.

    Parameters
    ----------
    num_labels : int
        C.
    num_image_embeds : int
        N, from 1 to 9.
    tap : {"embed", "proj"}
        Where the latents are taken.
    bert : mapping, optional
        Keywords of ``transformers.BertConfig``; the base model by default.
    blocks : sequence of four int
        Of the ResNet; by default those of ResNet-152.
    width : int
        Of the ResNet.
    cls_id, sep_id : int
        Token numbers of [CLS] and [SEP] in the vocabulary.
    modalities : sequence of str
        ``"text"`` and ``"image"`` in the order of the data's columns.

    Raises
    ------
    ValueError
        If `num_image_embeds`, `tap` or `modalities` is none of the choices, or the vocabulary or
        the positions of BERT do not suffice.
    """

    needs_stand_in = False  # a black picture and a text of padding are inputs like any others

    def __init__(
        self,
        num_labels: int,
        num_image_embeds: int = 1,
        *,
        tap: str = "embed",
        bert: Mapping[str, Any] | None = None,
        blocks: Sequence[int] = RESNET152,
        width: int = 64,
        cls_id: int = 101,
        sep_id: int = 102,
        modalities: Sequence[str] = ("text", "image"),
    ):
        _check_choices(num_image_embeds, tap, modalities)
        super().__init__(modalities)
        self.tap = tap
        self.config: dict[str, Any] = {
            "num_labels": num_labels,
            "num_image_embeds": num_image_embeds,
            "tap": tap,
            "bert": dict(bert or {}),
            "blocks": list(blocks),
            "width": width,
            "cls_id": cls_id,
            "sep_id": sep_id,
            "modalities": list(modalities),
        }
        self.enc = Encoder(
            self.config["bert"], num_labels, num_image_embeds, blocks, width, cls_id, sep_id
        )
        self.clf = nn.Linear(self.enc.clf.in_features, num_labels)
        self._check_sizes()

    @classmethod
    def tiny(
        cls, num_labels: int = 3, num_image_embeds: int = 1, *, seed: int = 0, **options
    ) -> "MMBT":
        """Build one of a few thousand weights, for tests and teaching.

        Parameters
        ----------
        num_labels, num_image_embeds : int
            C and N.
        seed : int
            Of the weights; the global generator is left as it was.
        **options
            Of the class.
        """
        bert = {
            "vocab_size": 128,
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 32,
            "max_position_embeddings": 32,
        }
        sizes: dict[str, Any] = {"bert": bert, "blocks": [1, 1, 1, 1], "width": 2}
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return cls(num_labels, num_image_embeds, **(sizes | options))

    @classmethod
    def from_checkpoint(
        cls, path: str | Path, num_image_embeds: int, *, num_heads: int | None = None, **options
    ) -> "MMBT":
        """Read a checkpoint of the official implementation; sizes are those of its tensors.

        Parameters
        ----------
        path : str or Path
            ``model_best.pt``: a dictionary with ``state_dict``, or a bare state dict. Tensors only
            are read: see `sure_pyro.backbones.mmbt.checkpoint.read_weights`.
        num_image_embeds : int
            N of the training run. No tensor tells it, so it must be given; the official default
            is 1, the example of its README trains with 3.
        num_heads : int, optional
            Attention heads; by default one for every 64 of D, as in every published BERT.
        **options
            ``tap``, ``cls_id``, ``sep_id``, ``modalities``.

        Raises
        ------
        ValueError
            If the file holds anything else than tensors and plain values, or weights of another
            network. The message names what is missing or too much.
        """
        state = read_weights(path)
        with torch.random.fork_rng():  # random weights come first, and are overwritten
            model = cls(num_image_embeds=num_image_embeds, **sizes(state, num_heads), **options)
        try:
            model.load_state_dict(state)
        except RuntimeError as error:
            raise ValueError(f"{path} does not hold the weights of MMBT: {error}") from error
        return model

    def start_from(self, bert: Any, resnet: Mapping[str, Tensor]) -> "MMBT":
        """Take over pretrained towers, as a training run of MMBT starts.

        Parameters
        ----------
        bert : nn.Module
            A ``BertModel`` of the same sizes; for the base model
            ``BertModel.from_pretrained("bert-base-uncased")``.
        resnet : mapping of str to Tensor
            State dict of torchvision's network of the same blocks.

        Raises
        ------
        ValueError
            If `bert` has no pooler, or `resnet` is of another network.
        RuntimeError
            If `bert` has other sizes; the message names the tensors.
        """
        if bert.pooler is None:
            raise ValueError("`bert` has no pooler: load it with `add_pooling_layer=True`.")
        self.enc.txt_embeddings.load_state_dict(bert.embeddings.state_dict())
        self.enc.encoder.load_state_dict(bert.encoder.state_dict())
        self.enc.pooler.dense.load_state_dict(bert.pooler.dense.state_dict())
        load_torchvision(self.enc.img_encoder.model, resnet)
        return self

    def forward(self, batch: Batch) -> Float[Tensor, "B C"]:
        """Logits of the labels, as the official model gives them."""
        return self.clf(self.uncut(batch))

    def uncut(self, batch) -> Float[Tensor, "B D"]:
        """See `Backbone.uncut`: the pooled [CLS]."""
        text = self._text(batch)
        return self.enc(text.ids, text.exists, text.segment, read_image(batch))

    def encode(self, batch) -> dict[str, Latent]:
        """See `Backbone.encode`: ``(B, N, D)`` for images, `Tokens` ``(B, L, D)`` for texts.

        Raises
        ------
        ValueError
            If features have the wrong form, or a token has a segment of its own, which the tap
            "proj" could not hand to the fusion.
        """
        text = self._text(batch)
        image = self.enc.img_embeddings.project(self.enc.img_encoder(read_image(batch)))
        if self.tap == "embed":
            image = self.enc.img_embeddings.embed(image)
            words = self.enc.txt_embeddings(text.ids, token_type_ids=text.segment)
        else:
            _check_segment(text)
            words = self.enc.txt_embeddings.word_embeddings(text.ids)
        latents: dict[str, Latent] = {"text": Tokens(words, text.exists), "image": image}
        return {name: latents[name] for name in self.modalities}

    def fuse(self, latents) -> Float[Tensor, "B D"]:
        """See `Backbone.fuse`. A text that is given as a plain tensor has all of its tokens."""
        image, text = latents["image"], latents["text"]
        words, exists = text if isinstance(text, Tokens) else (text, _all_exist(text))
        if self.tap == "proj":
            image = self.enc.img_embeddings.embed(image)
            words = self.enc.txt_embeddings(inputs_embeds=words, token_type_ids=exists.long())
        return self.enc.fuse(image, words, exists)

    def image_block(self, image: Float[Tensor, "B N D"]) -> Float[Tensor, "B N+2 D"]:
        """[CLS], image tokens and [SEP] as they enter the transformer, from the image's latent."""
        embeddings = self.enc.img_embeddings
        return embeddings.block(embeddings.embed(image) if self.tap == "proj" else image)

    def readout(self, width: int) -> nn.Linear:
        """See `Backbone.readout`: the classifier."""
        return self.clf

    @property
    def _bert_sizes(self) -> tuple[int, int]:
        """Words and positions that BERT has."""
        tied = self.enc.img_embeddings
        return tied.word_embeddings.num_embeddings, tied.position_embeddings.num_embeddings

    def _check_sizes(self) -> None:
        words, positions = self._bert_sizes
        special, needed = self.enc.img_embeddings.special_ids, self.config["num_image_embeds"] + 2
        if int(special.max()) >= words or needed > positions:
            raise ValueError(
                f"BERT with a vocabulary of {words} and {positions} positions is too small for "
                f"[CLS] and [SEP] as tokens {special.tolist()} and {needed} positions in front of "
                "the text. See `cls_id`, `sep_id` and `bert`."
            )

    def _text(self, batch: Batch) -> Text:
        return read_text(batch, *self._bert_sizes, self.config["cls_id"])


def _all_exist(text: Float[Tensor, "B L D"]) -> Tensor:
    return torch.ones_like(text[..., 0], dtype=torch.bool)


def _check_segment(text: Text) -> None:
    if not (text.segment[text.exists] == 1).all():
        raise ValueError(
            "With the tap \"proj\" every token is in segment 1; the 'token_type_ids' of 'text' "
            'say otherwise. Use `tap="embed"`, where segments are part of the latent.'
        )


def _check_choices(num_image_embeds: int, tap: str, modalities: Sequence[str]) -> None:
    if num_image_embeds not in REGIONS:
        raise ValueError(f"`num_image_embeds` must be 1 to 9; got {num_image_embeds!r}.")
    if tap not in TAPS:
        raise ValueError(f"`tap` must be one of {TAPS}; got {tap!r}.")
    if sorted(modalities) != ["image", "text"]:
        raise ValueError(f"`modalities` must be 'text' and 'image'; got {tuple(modalities)}.")
