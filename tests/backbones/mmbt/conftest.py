"""Small MMBTs, batches for them, and the official forward pass written from its equations."""

import math

import pytest
import torch
import torch.nn.functional as F

from sure_pyro.backbones.mmbt import MMBT
from sure_pyro.data import Batch

POOLED = {1: (1, 1), 2: (2, 1), 3: (3, 1), 4: (2, 2), 5: (5, 1), 6: (3, 2), 7: (7, 1), 8: (4, 2)}
POOLED[9] = (3, 3)


def make_mmbt(seed=0, **options):
    """A tiny MMBT in which every weight, buffer and bias is random."""
    model = MMBT.tiny(seed=seed, **options)
    torch.manual_seed(seed)
    for name, x in model.state_dict().items():
        if "img_encoder" in name and x.ndim == 4:
            x.copy_(torch.randn(x.shape) * (2 / x[0].numel()) ** 0.5)
        elif name.endswith("running_var"):
            x.copy_(0.5 + torch.rand(x.shape))
        elif x.is_floating_point() and x.ndim == 1:
            x.add_(0.2 * torch.randn(x.shape))
        elif x.is_floating_point():
            x.mul_(5)  # BERT starts so small that attention would be nearly uniform
    return model.freeze()


def make_batch(B=5, L=6, seed=0, C=3, available=None, fields=False):
    """Texts of 1 to L word pieces, with their mask as a field or beside, and small images."""
    g = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, L + 1, (B,), generator=g)
    exists = torch.arange(L) < lengths.unsqueeze(1)
    ids = torch.randint(4, 100, (B, L), generator=g) * exists
    image = torch.randn(B, 3, 64, 64, generator=g)
    target = torch.randint(0, 2, (B, C), generator=g).float()
    if fields:
        text = {"input_ids": ids, "attention_mask": exists.long()}
        return Batch({"text": text, "image": image}, available, target, task="multilabel")
    features = {"text": ids, "image": image}
    return Batch(features, available, target, padding={"text": exists}, task="multilabel")


def official(model, ids, mask, segment, image, N):
    """Logits by the equations of the official forward pass, from the state dict alone."""
    w = {k.removeprefix("enc."): x for k, x in model.state_dict().items()}
    bert = model.config["bert"]
    heads, D = bert["num_attention_heads"], bert["hidden_size"]
    features = F.adaptive_avg_pool2d(model.enc.img_encoder.model(image), POOLED[N])
    tokens = F.linear(
        features.flatten(2).mT, w["img_embeddings.img_embeddings.weight"],
        w["img_embeddings.img_embeddings.bias"],
    )  # fmt: skip
    word = w["txt_embeddings.word_embeddings.weight"]
    B = len(ids)
    tokens = torch.cat([word[101].expand(B, 1, D), tokens, word[102].expand(B, 1, D)], 1)
    positions = torch.cat([torch.arange(N + 2), torch.arange(ids.shape[1])])
    segments = torch.cat([torch.zeros(B, N + 2, dtype=torch.long), segment], 1)
    x = torch.cat([tokens, word[ids]], 1)
    x = x + w["txt_embeddings.position_embeddings.weight"][positions]
    x = normal(x + w["txt_embeddings.token_type_embeddings.weight"][segments], w, "txt_embeddings.")
    bias = (1 - torch.cat([torch.ones(B, N + 2), mask.float()], 1))[:, None, None] * -10000
    for i in range(bert["num_hidden_layers"]):
        x = layer(x, bias, w, f"encoder.layer.{i}.", heads)
    pooled = F.linear(x[:, 0], w["pooler.dense.weight"], w["pooler.dense.bias"]).tanh()
    return F.linear(pooled, w["clf.weight"], w["clf.bias"])


def layer(x, bias, w, at, heads):
    B, L, D = x.shape

    def linear(name, y):
        return F.linear(y, w[f"{at}{name}.weight"], w[f"{at}{name}.bias"])

    def split(y):
        return y.reshape(B, L, heads, -1).transpose(1, 2)

    q, k, v = (split(linear(f"attention.self.{n}", x)) for n in ("query", "key", "value"))
    attention = (q @ k.mT / math.sqrt(D // heads) + bias).softmax(-1) @ v
    attended = linear("attention.output.dense", attention.transpose(1, 2).reshape(B, L, D))
    x = normal(attended + x, w, f"{at}attention.output.")
    return normal(
        linear("output.dense", F.gelu(linear("intermediate.dense", x))) + x, w, f"{at}output."
    )


def normal(x, w, at):
    """Layer norm with the epsilon of BERT."""
    return F.layer_norm(
        x, x.shape[-1:], w[f"{at}LayerNorm.weight"], w[f"{at}LayerNorm.bias"], 1e-12
    )


@pytest.fixture(params=["embed", "proj"])
def tap(request):
    return request.param
