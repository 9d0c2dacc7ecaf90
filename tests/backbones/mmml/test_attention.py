"""The cross-modal layer beside its equations, written out."""

import math

import pytest
import torch
from torch import nn

from sure_pyro.backbones import Tokens
from sure_pyro.backbones.mmml.attention import Attention, CrossModalLayer

pytestmark = pytest.mark.usefixtures("double")


def tokens(B, L, D, lengths):
    return Tokens(torch.randn(B, L, D), torch.arange(L) < torch.tensor(lengths)[:, None])


def test_one_head_by_hand():
    attention = Attention(4, 1, 0.0)
    x, c = torch.randn(1, 2, 4), torch.randn(1, 3, 4)
    Q, K, V = attention.query(x[0]), attention.key(c[0]), attention.value(c[0])
    weights = torch.exp(Q @ K[:2].T / math.sqrt(4))
    expected = (weights / weights.sum(-1, keepdim=True)) @ V[:2]
    y = attention(x, c, torch.tensor([[True, True, False]]))
    torch.testing.assert_close(y[0], expected)


def test_heads_agree_with_those_of_torch():
    ours, theirs = Attention(6, 3, 0.0), nn.MultiheadAttention(6, 3, batch_first=True)
    parts = (ours.query, ours.key, ours.value)
    theirs.in_proj_weight.data = torch.cat([part.weight for part in parts])
    theirs.in_proj_bias.data = torch.cat([part.bias for part in parts])
    nn.init.eye_(theirs.out_proj.weight)
    c = tokens(2, 5, 6, [5, 2])
    x = torch.randn(2, 3, 6)
    expected, _ = theirs(x, c.values, c.values, key_padding_mask=~c.exists)
    torch.testing.assert_close(ours(x, c.values, c.exists), expected)


def test_each_stream_looks_at_the_other_as_it_was_before():
    layer = CrossModalLayer(4, 2, 8, 0.3).eval()
    t, a = tokens(2, 3, 4, [3, 2]), tokens(2, 5, 4, [4, 5])

    def attend(block, attention, x, c, exists):
        y = block.output.dense(attention(x, c, exists))
        return block.output.LayerNorm(x + y)

    def feed(inter, output, x):
        return output.LayerNorm(x + output.dense(inter.dense(x).relu()))

    t1 = attend(layer.lang_attention, layer.lang_attention.att, t.values, a.values, a.exists)
    a1 = attend(layer.audio_attention, layer.audio_attention.att, a.values, t.values, t.exists)
    t2 = attend(layer.lang_self_att, layer.lang_self_att.self, t1, t1, t.exists)
    a2 = attend(layer.audio_self_att, layer.audio_self_att.self, a1, a1, a.exists)
    text, audio = layer(t, a)
    torch.testing.assert_close(text.values, feed(layer.lang_inter, layer.lang_output, t2))
    torch.testing.assert_close(audio.values, feed(layer.audio_inter, layer.audio_output, a2))
    assert torch.equal(text.exists, t.exists)
    assert torch.equal(audio.exists, a.exists)


def test_tokens_that_do_not_exist_move_no_other_token():
    layer = CrossModalLayer(4, 2, 8, 0.3).eval()
    t, a = tokens(2, 3, 4, [3, 2]), tokens(2, 5, 4, [4, 5])
    noisy = Tokens(torch.where(a.exists.unsqueeze(-1), a.values, 1e6), a.exists)
    text, audio = layer(t, a)
    text_noisy, audio_noisy = layer(t, noisy)
    assert torch.equal(text.values, text_noisy.values)
    assert torch.equal(audio.values[a.exists], audio_noisy.values[a.exists])


def test_dropout_is_off_in_evaluation_and_on_in_training():
    layer = CrossModalLayer(4, 2, 8, 0.3)
    t, a = tokens(2, 3, 4, [3, 2]), tokens(2, 5, 4, [4, 5])
    assert not torch.equal(layer(t, a)[0].values, layer(t, a)[0].values)
    layer.eval()
    assert torch.equal(layer(t, a)[0].values, layer(t, a)[0].values)


def test_the_layer_norms_have_the_published_epsilon():
    norms = [m for m in CrossModalLayer(4, 2, 8, 0.3).modules() if isinstance(m, nn.LayerNorm)]
    assert [norm.eps for norm in norms] == [1e-12] * 6
