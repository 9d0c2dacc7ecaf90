"""Networks on Hugging Face encoders, cut by name; random small weights."""

import pytest
import torch
from torch import nn

from sure_pyro.backbones import Backbone, Tap, check_backbone
from sure_pyro.data import Batch

transformers = pytest.importorskip("transformers")


def bert():
    config = transformers.BertConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=16,
    )  # fmt: skip
    return transformers.BertModel(config)


def vit():
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        image_size=16, patch_size=8,
    )  # fmt: skip
    return transformers.ViTModel(config, add_pooling_layer=False)


class PicturesAndTexts(nn.Module):
    """A text encoder, an image encoder, and attention from one to the other."""

    def __init__(self):
        super().__init__()
        self.text, self.vision = bert(), vit()
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.classifier = nn.Linear(16, 3, bias=False)

    def forward(self, pixel_values, input_ids, attention_mask):
        t = self.text(input_ids, attention_mask=attention_mask).last_hidden_state
        v = self.vision(pixel_values).last_hidden_state
        hidden = attention_mask == 0
        h = self.attention(v, t, t, key_padding_mask=hidden)[0].mean(1)
        return transformers.modeling_outputs.SequenceClassifierOutput(logits=self.classifier(h))


def rows(B=8, L=7):
    g = torch.Generator().manual_seed(0)
    mask = (torch.arange(L) < torch.randint(2, L + 1, (B, 1), generator=g)).long()
    ids = torch.randint(1, 40, (B, L), generator=g) * mask
    pixels = torch.randn(B, 3, 16, 16, generator=g)
    text = {"input_ids": ids, "attention_mask": mask}
    return Batch({"picture": {"pixel_values": pixels}, "text": text})


LATENTS = {
    "picture": Tap("vision", output="last_hidden_state"),
    "text": Tap("text", output="last_hidden_state"),
}


@pytest.mark.parametrize("readout", [None, "classifier"])
@pytest.mark.parametrize(
    "latents",
    [
        LATENTS,
        {**LATENTS, "picture": "vision.layernorm"},
        {**LATENTS, "text": "text.encoder.layer.1.output"},
    ],
)
def test_encoders_cut_by_name_say_what_they_said(latents, readout):
    torch.manual_seed(0)
    net, batch = PicturesAndTexts().eval(), rows()
    expected = net(batch["picture"]["pixel_values"], **batch["text"]).logits
    backbone = Backbone.wrap(net, latents, readout=readout)
    z = backbone.encode(batch)
    assert z["picture"].shape == (8, 5, 16)
    assert z["text"].values.shape == (8, 7, 16)
    h = backbone.fuse(z)
    torch.testing.assert_close(backbone.readout(h.shape[1])(h), expected, rtol=1e-6, atol=1e-6)
    check_backbone(backbone, batch)


def test_neither_encoder_runs_to_fuse():
    net, batch = PicturesAndTexts().eval(), rows()
    backbone = Backbone.wrap(net, {**LATENTS, "picture": "vision.layernorm"})
    z = backbone.encode(batch)
    calls = []
    for module in backbone.ready.cut.net.modules():
        if isinstance(module, nn.Linear):
            module.register_forward_pre_hook(lambda m, args: calls.append(m))
    backbone.fuse(z)
    assert set(calls) <= set(backbone.ready.cut.net.attention.modules()) | {
        backbone.ready.cut.net.classifier
    }


def test_half_of_an_encoder_runs_where_the_cut_is_inside_it():
    net, batch = PicturesAndTexts().eval(), rows()
    backbone = Backbone.wrap(net, {**LATENTS, "text": "text.encoder.layer.0"})
    z = backbone.encode(batch)
    expected = net(batch["picture"]["pixel_values"], **batch["text"]).logits
    torch.testing.assert_close(backbone.fuse(z), expected, rtol=1e-6, atol=1e-6)
    assert any(path.startswith("text.embeddings") for path, _ in backbone.ready.plan.constants)
