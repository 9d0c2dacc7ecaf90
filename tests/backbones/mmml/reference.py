"""MMML a second time: plain tensor algebra on a state dict, from the published description.

The attention is written out, the valid length of audio is counted from attention weights as the
authors do, and nothing of the library is called.
"""

import math

import torch
import torch.nn.functional as F


class Reference:
    """Outputs of the heads of one variant, by its official name, from inputs."""

    def __init__(self, network, name, num_heads):
        self.roberta, self.data2vec = network.roberta_model, network.data2vec_model
        self.roberta.set_attn_implementation("eager")
        self.data2vec.set_attn_implementation("eager")
        self.state, self.name, self.num_heads = network.state_dict(), name, num_heads

    def linear(self, x, name):
        return F.linear(x, self.state[f"{name}.weight"], self.state[f"{name}.bias"])

    def norm(self, x, name, eps):
        return F.layer_norm(
            x, x.shape[-1:], self.state[f"{name}.weight"], self.state[f"{name}.bias"], eps
        )

    def attend(self, q, k, v, mask):
        B, L, D = q.shape
        d = D // self.num_heads
        q, k, v = (y.view(B, -1, self.num_heads, d).transpose(1, 2) for y in (q, k, v))
        scores = q @ k.transpose(-1, -2) / math.sqrt(d)
        scores = scores + torch.where(mask == 1, 0.0, -math.inf)[:, None, None]
        return (scores.softmax(-1) @ v).transpose(1, 2).reshape(B, L, D)

    # -- encoders ---------------------------------------------------------------------------------

    def text(self, ids, mask):
        out = self.roberta(ids, mask)
        return out.last_hidden_state, mask.float(), out.pooler_output

    def audio(self, waveform, mask):
        out = self.data2vec(waveform, mask, output_attentions=True)
        frames = out.last_hidden_state
        valid, pooled = torch.zeros(frames.shape[:2]), []
        for row in range(len(frames)):
            count = int((out.attentions[0][row, 0, 0] != 0).sum())
            valid[row, :count] = 1
            pooled.append(frames[row, :count].mean(0))
        return frames, valid, torch.stack(pooled)

    # -- cross-modal layers -----------------------------------------------------------------------

    def block(self, x, c, mask, name, inner):
        q = self.linear(x, f"{name}.{inner}.query")
        k, v = self.linear(c, f"{name}.{inner}.key"), self.linear(c, f"{name}.{inner}.value")
        y = self.linear(self.attend(q, k, v, mask), f"{name}.output.dense")
        return self.norm(x + y, f"{name}.output.LayerNorm", 1e-12)

    def feed_forward(self, x, name):
        y = self.linear(self.linear(x, f"{name}_inter.dense").relu(), f"{name}_output.dense")
        return self.norm(x + y, f"{name}_output.LayerNorm", 1e-12)

    def cls(self, x, mask, name):
        first = self.state[f"{name}_cls_emb.weight"].expand(len(x), 1, -1)
        return torch.cat([first, x], 1), torch.cat([torch.ones(len(x), 1), mask], 1)

    def cross(self, text, audio):
        (t, t_mask), (a, a_mask) = self.cls(*text[:2], "text"), self.cls(*audio[:2], "audio")
        n = len({key.split(".")[1] for key in self.state if key.startswith("CME_layers")})
        for p in [f"CME_layers.{i}." for i in range(n)]:
            t, a = (
                self.block(t, a, a_mask, p + "lang_attention", "att"),
                self.block(a, t, t_mask, p + "audio_attention", "att"),
            )
            t = self.block(t, t, t_mask, p + "lang_self_att", "self")
            a = self.block(a, a, a_mask, p + "audio_self_att", "self")
            t, a = self.feed_forward(t, p + "lang"), self.feed_forward(a, p + "audio")
        return t, a

    def encoder(self, x, mask, name):
        for p in [f"{name}.layers.{i}." for i in range(3)]:
            qkv = F.linear(
                x,
                self.state[p + "self_attn.in_proj_weight"],
                self.state[p + "self_attn.in_proj_bias"],
            )
            y = self.linear(self.attend(*qkv.chunk(3, -1), mask), p + "self_attn.out_proj")
            x = self.norm(x + y, p + "norm1", 1e-5)
            y = self.linear(self.linear(x, p + "linear1").relu(), p + "linear2")
            x = self.norm(x + y, p + "norm2", 1e-5)
        return x

    # -- fusion -----------------------------------------------------------------------------------

    def fused(self, text, audio, text_context=None, audio_context=None):
        if self.name == "cc":
            return torch.cat([text[2], audio[2]], -1)
        if self.name == "cc_context":
            return torch.cat([text[2], text_context[2], audio[2], audio_context[2]], -1)
        t, a = self.cross(text, audio)
        if self.name == "cme_context":
            tc, ac = self.cross(text_context, audio_context)
            return torch.cat([t[:, 0], tc[:, 0], a[:, 0], ac[:, 0]], -1)
        if self.name == "cme_v1":
            return torch.cat([t[:, 0], a[:, 0]], -1)
        if self.name == "cme_v2":
            t = self.linear(torch.cat([text[2], t[:, 0]], -1), "text_mixed_layer.1").relu()
            a = self.linear(torch.cat([audio[2], a[:, 0]], -1), "audio_mixed_layer.1").relu()
            return torch.cat([t, a], -1)
        out = []
        for (x, mask, _), crossed, name in ((text, t, "text"), (audio, a, "audio")):
            y = torch.cat([x, crossed[:, 1:]], -1)
            out.append(self.encoder(*self.cls(y, mask, f"{name}_mixed"), f"{name}_encoder")[:, 0])
        return torch.cat(out, -1)

    def __call__(self, inputs):
        encoded = {
            name: (self.text if name.startswith("text") else self.audio)(*pair)
            for name, pair in inputs.items()
        }
        y = self.fused(**encoded)
        layers = sorted(
            int(k.split(".")[1]) for k in self.state if k.startswith("fused") and "w" in k
        )
        for i in layers[:-1]:
            y = self.linear(y, f"fused_output_layers.{i}").relu()
        text = torch.cat([z[2] for name, z in encoded.items() if name.startswith("text")], -1)
        audio = torch.cat([z[2] for name, z in encoded.items() if name.startswith("audio")], -1)
        return {
            "T": self.linear(text, "T_output_layers.1"),
            "A": self.linear(audio, "A_output_layers.1"),
            "M": self.linear(y, f"fused_output_layers.{layers[-1]}"),
        }
