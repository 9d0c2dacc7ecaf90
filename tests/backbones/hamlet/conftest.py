"""Small HAMLETs, batches for them, and the forward pass of one row from its equations."""

import math

import torch
import torch.nn.functional as F

from sure_pyro.backbones.hamlet import HAMLET
from sure_pyro.data import Batch

RGB = {"name": "rgb", "kind": "frames"}
PHONE = {"name": "acc_phone", "kind": "windows", "channels": 3}
GYRO = {"name": "gyro", "kind": "windows", "channels": 2}
VARIANTS = {
    "three": [RGB, PHONE, GYRO],
    "sensors": [GYRO, PHONE],
    "two cameras": [{"name": "cam1", "kind": "frames"}, {"name": "cam2", "kind": "frames"}],
    "alone": [PHONE],
}
STEPS = {"rgb": 3, "cam1": 2, "cam2": 4, "acc_phone": 5, "gyro": 4}


def make_hamlet(modalities=None, seed=0, freeze=True, **options):
    """A tiny HAMLET in which every weight, bias and batch-norm statistic is random."""
    model = HAMLET.tiny(modalities or VARIANTS["three"], seed=seed, **options)
    torch.manual_seed(seed)
    for name, x in model.state_dict().items():
        if name.endswith("running_var"):
            x.copy_(0.5 + torch.rand(x.shape))
        elif x.is_floating_point():
            x.add_(0.2 * torch.randn(x.shape))
    return model.freeze() if freeze else model


def make_batch(modalities=None, B=5, seed=0, padded=True, available=None):
    """Clips of 1 to S steps, padded anywhere, and one of four classes."""
    g = torch.Generator().manual_seed(seed)
    features, padding = {}, {}
    for m in modalities or VARIANTS["three"]:
        S = STEPS[m["name"]]
        event = (3, 33, 40) if m["kind"] == "frames" else (5, m["channels"])
        features[m["name"]] = torch.randn(B, S, *event, generator=g)
        exists = torch.rand(B, S, generator=g) < 0.6
        exists[:, 1] = True
        padding[m["name"]] = exists
    target = torch.randint(0, 4, (B,), generator=g)
    names = [str(k) for k in range(4)]
    return Batch(
        features, available, target, padding=padding if padded else None, class_names=names
    )


def normal(bn, z):
    """Batch norm in evaluation mode, channels first, without a batch dimension."""
    shape = (-1, *[1] * (z.ndim - 1))
    scale = (bn.weight / (bn.running_var + bn.eps).sqrt()).reshape(shape)
    return (z - bn.running_mean.reshape(shape)) * scale + bn.bias.reshape(shape)


def attend(attention, z):
    """Multi-head attention of tokens ``(L, E)`` to each other."""
    heads = attention.num_heads
    q, k, v = F.linear(z, attention.in_proj_weight, attention.in_proj_bias).chunk(3, -1)
    out = []
    for q_h, k_h, v_h in zip(*(x.chunk(heads, -1) for x in (q, k, v)), strict=True):
        out.append((q_h @ k_h.T / math.sqrt(q_h.shape[-1])).softmax(-1) @ v_h)
    return attention.out_proj(torch.cat(out, -1))


def recur(lstm, z):
    """LSTM over ``(L, E)``, step by step."""
    for i in range(lstm.num_layers):
        w_ih, w_hh, b_ih, b_hh = lstm._all_weights[i]
        w_ih, w_hh, b_ih, b_hh = (getattr(lstm, n) for n in (w_ih, w_hh, b_ih, b_hh))
        h = c = torch.zeros(lstm.hidden_size)
        out = []
        for x in z:
            i_t, f_t, g_t, o_t = (w_ih @ x + b_ih + w_hh @ h + b_hh).chunk(4)
            c = f_t.sigmoid() * c + i_t.sigmoid() * g_t.tanh()
            h = o_t.sigmoid() * c.tanh()
            out.append(h)
        z = torch.stack(out)
    return z


def latent_by_hand(encoder, x):
    """Latent of the steps ``(S, *event)`` of one row, none of which is padding."""
    if x.ndim == 4:
        frames = encoder.steps.resnet(x).flatten(2).mean(-1)
        z = F.linear(frames, encoder.steps.project.weight, encoder.steps.project.bias)
    else:
        first, bn1, _, second, bn2, _ = encoder.steps.convolutions
        windows = []
        for window in x:
            y = normal(bn1, F.conv1d(window.T[None], first.weight, first.bias, padding=1)[0]).relu()
            y = normal(bn2, F.conv1d(y[None], second.weight, second.bias, padding=1)[0]).relu()
            windows.append(y.mean(-1))
        z = torch.stack(windows)
    return attend(encoder.attention, recur(encoder.lstm, z)).sum(0).relu()


def logits_by_hand(model, batch, row):
    """Logits of one row, by the equations."""
    z = torch.stack(
        [
            latent_by_hand(model.encoder(name), batch.features[name][row][batch.padding[name][row]])
            for name in model.modalities
        ]
    )
    fusion = model.fusion
    z = normal(fusion.after, attend(fusion.attention, normal(fusion.before, z).relu())).relu()
    h = z.sum(0) if fusion.merge == "sum" else z.flatten()
    return F.linear(h, model.classifier.weight, model.classifier.bias)
