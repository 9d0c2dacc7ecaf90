"""Encoders: masks as the authors count them, padding without effect, both kernels alike."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sure_pyro.backbones import Tokens
from sure_pyro.backbones.mmml.encoders import (
    encode_audio,
    encode_text,
    frame_mask,
    masked_mean,
)
from tests.backbones.mmml.conftest import T, make

BACKBONE = make("cross_modal_v1")
ROBERTA, DATA2VEC = BACKBONE.network.roberta_model, BACKBONE.network.data2vec_model


@pytest.fixture
def eager():
    """Attention written out, which returns its weights."""
    for encoder in (ROBERTA, DATA2VEC):
        encoder.set_attn_implementation("eager")
    yield
    for encoder in (ROBERTA, DATA2VEC):
        encoder.set_attn_implementation("sdpa")


def mask_of(lengths, size):
    return torch.arange(size) < torch.tensor(lengths)[:, None]


@pytest.mark.parametrize("length", [0, 1, 200, 399, 400, 719, 720, 721, 1000, 2079, 2080, T])
def test_frames_are_those_that_the_authors_count(eager, length):
    mask = mask_of([length, T], T)
    output = DATA2VEC(torch.randn(2, T), mask.long(), output_attentions=True)
    count = (output.attentions[0][:, 0, 0] != 0).sum(-1)
    exists = frame_mask(DATA2VEC, mask, output.last_hidden_state.shape[1])
    assert exists.sum(-1).tolist() == count.tolist()
    assert torch.equal(exists, mask_of(count.tolist(), exists.shape[1]))


@given(st.integers(400, T))
@settings(deadline=None, max_examples=50)
def test_a_frame_exists_if_all_of_its_samples_do(length):
    receptive, stride = 400, 320  # samples: of Data2Vec's seven convolutions
    exists = frame_mask(DATA2VEC, mask_of([length], T), 7)
    assert exists[0].tolist() == [receptive + stride * k <= length for k in range(7)]


def test_both_attention_kernels_give_the_same_latents(request):
    ids, mask = torch.randint(3, 100, (2, 9)), mask_of([9, 4], 9)
    waveform, samples = torch.randn(2, T), mask_of([T, 1000], T)
    t, a = encode_text(ROBERTA, ids, mask), encode_audio(DATA2VEC, waveform, samples)
    request.getfixturevalue("eager")
    for ours, theirs in (
        (t, encode_text(ROBERTA, ids, mask)),
        (a, encode_audio(DATA2VEC, waveform, samples)),
    ):
        torch.testing.assert_close(ours.values, theirs.values, rtol=0, atol=1e-5)


def test_the_id_of_padding_is_put_back():
    ids, mask = torch.tensor([[0, 9, 2, 1, 1]]), mask_of([3], 5)
    official = ROBERTA(ids, mask.long()).last_hidden_state
    tokens = encode_text(ROBERTA, ids * mask, mask)  # zero under the mask, as a batch has it
    assert torch.equal(tokens.values, official)
    assert torch.equal(tokens.exists, mask)


def test_a_row_without_tokens_is_an_empty_text():
    ids, mask = torch.tensor([[0, 0, 0, 0], [0, 2, 1, 1]]), mask_of([0, 2], 4)
    tokens = encode_text(ROBERTA, ids, mask)
    assert torch.equal(tokens.values[0], tokens.values[1])
    assert tokens.exists.tolist() == [[True, True, False, False]] * 2
    assert encode_text(ROBERTA, ids[:1, :1], mask[:1, :1]).exists.tolist() == [[True]]


def test_padding_on_the_left_has_no_effect_either():
    ids, mask = torch.tensor([[0, 9, 8, 2]]), torch.ones(1, 4, dtype=torch.bool)
    left = encode_text(ROBERTA, torch.tensor([[5, 5, 0, 9, 8, 2]]), torch.arange(6)[None] > 1)
    right = encode_text(ROBERTA, ids, mask)
    torch.testing.assert_close(left.values[:, 2:], right.values, rtol=0, atol=1e-6)


def test_silence_and_nothing_give_finite_latents():
    for lengths in ([0, 0], [T, 0], [T, T]):
        tokens = encode_audio(DATA2VEC, torch.zeros(2, T), mask_of(lengths, T))
        assert tokens.values.isfinite().all()


def test_masked_mean_by_hand():
    x = torch.tensor([[[1.0], [3.0], [100.0]], [[5.0], [5.0], [5.0]]])
    tokens = Tokens(x, torch.tensor([[True, True, False], [False, False, False]]))
    assert masked_mean(tokens).tolist() == [[2.0], [0.0]]


def test_double_precision_is_kept():
    double = make("cross_modal_v1").double().network.data2vec_model
    tokens = encode_audio(double, torch.randn(1, T).double(), mask_of([T], T))
    assert tokens.values.dtype == torch.float64


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: encode_text(ROBERTA, torch.full((1, 65), 5), mask_of([65], 65)), "64 positions"),
        (lambda: encode_text(ROBERTA, torch.tensor([[100]]), mask_of([1], 1)), r"0\.\.99.*got 100"),
        (lambda: encode_text(ROBERTA, torch.tensor([[-1]]), mask_of([1], 1)), "got -1 to -1"),
        (lambda: encode_audio(DATA2VEC, torch.zeros(1, 399), mask_of([9], 399)), "400 .*got 399"),
    ],
)
def test_what_is_refused(call, text):
    with pytest.raises(ValueError, match=text):
        call()


def test_as_many_tokens_as_there_are_positions():
    tokens = encode_text(ROBERTA, torch.full((1, 64), 5), mask_of([64], 64))
    assert tokens.values.isfinite().all()
