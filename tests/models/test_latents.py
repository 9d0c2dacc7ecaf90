import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import sure_pyro as sp
from sure_pyro.backbones import Backbone, Tokens
from sure_pyro.models import Latents, LatentSpace, hide
from tests.models.conftest import make_batch


def test_latents_are_standardised_by_the_available_rows():
    batch = make_batch(B=300)
    space = LatentSpace.fit(sp.MLPBackbone.for_data(batch, latent_size=8), batch)
    latents = space.encode(batch)
    for name in batch.modalities:
        z = latents.values[name][latents.available[name]]
        torch.testing.assert_close(z.mean(0), torch.zeros(z.shape[-1]), atol=1e-5, rtol=0)
        torch.testing.assert_close(z.std(0, correction=0), torch.ones(z.shape[-1]))
        assert (latents.values[name][~latents.available[name]] == 0).all()


def test_fuse_undoes_the_standardisation():
    batch = make_batch(missing=False)
    backbone = sp.MLPBackbone.for_data(batch, latent_size=8)
    space = LatentSpace.fit(backbone, batch)
    direct = backbone.fuse(backbone.encode(batch))
    torch.testing.assert_close(space.fuse(space.encode(batch).values), direct)


def test_a_constant_latent_does_not_divide_by_zero():
    batch = make_batch(B=20)
    features = {**batch.features, "image": torch.ones(20, 6)}
    space = LatentSpace.fit(
        sp.MLPBackbone.for_data(batch, latent_size=8), sp.from_arrays(features, batch.target)
    )
    assert space.encode(batch).values["image"].isfinite().all()


class Padded(Backbone):
    """Text tokens with padding, where the token 0 does not exist."""

    def __init__(self):
        super().__init__(["image", "text"])

    def encode(self, batch):
        text = batch.features["text"]
        return {"image": batch.features["image"], "text": Tokens(text, text[..., 0] != 0)}

    def fuse(self, latents):
        text = latents["text"]
        return latents["image"] + (text.values * text.exists.unsqueeze(-1)).sum(1)


def padded_latents():
    text = torch.randn(5, 4, 3)
    text[1, 2:] = 0  # a short text
    available = torch.ones(5, 2, dtype=torch.bool)
    available[2, 1] = False
    batch = sp.from_arrays({"image": torch.randn(5, 3), "text": text}, available=available)
    return LatentSpace.fit(Padded(), batch).encode(batch)


def test_padding_is_neither_available_nor_missing():
    latents = padded_latents()
    assert latents.available["text"][1].tolist() == [True, True, False, False]
    missing = latents.missing(latents.available)["text"]
    assert not missing[1].any()
    assert missing[2].all()  # an absent text is reconstructed at full length
    assert latents.exists(latents.available)["text"].sum(-1).tolist() == [4, 2, 4, 4, 4]


def test_a_hidden_padded_text_is_reconstructed_at_full_length():
    latents = padded_latents()
    visible = {**latents.available, "text": torch.zeros(5, 4, dtype=torch.bool)}
    assert latents.exists(visible)["text"].all()


def test_parts_reach_token_latents_and_are_refused_for_vectors():
    batch = make_batch(missing=False)
    gappy = sp.missing.within(batch, 0.3, seed=0, modalities=["audio"])
    space = LatentSpace.fit(sp.backbones.TransformerBackbone.for_data(batch, latent_size=8), batch)
    available = space.encode(gappy).available["audio"]
    assert torch.equal(available, gappy.recorded["audio"].flatten(2).all(-1))
    assert 0.5 < available.float().mean() < 0.9
    vectors = LatentSpace.fit(sp.MLPBackbone.for_data(batch, latent_size=8), batch)
    with pytest.raises(ValueError, match=r"'audio' is recorded in parts.*resolve_partial"):
        vectors.encode(gappy)


@given(
    st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=30),
    st.integers(0, 99),
)
def test_hiding_lowers_availability_and_keeps_one_modality(rows, seed):
    present = torch.tensor(rows)
    available = {name: present[:, i : i + 1].expand(-1, 2) for i, name in enumerate("abc")}
    values = {name: torch.zeros(len(rows), 2, 1) for name in "abc"}
    visible = hide(Latents(values, available), torch.Generator().manual_seed(seed))
    assert all((visible[name] <= available[name]).all() for name in "abc")
    left = torch.stack([visible[name].any(-1) for name in "abc"], -1).sum(-1)
    had = present.sum(-1)
    assert ((left >= 1) | (had == 0)).all()
    assert ((left < had) | (had <= 1)).all()  # something is hidden wherever that is possible


def test_number_of_hidden_modalities_is_uniform():
    """Chi-square with 2 degrees of freedom; false-alarm rate 0.001 with this seed drawn once."""
    available = {name: torch.ones(6000, 1, dtype=torch.bool) for name in "abcd"}
    values = {name: torch.zeros(6000, 1, 1) for name in "abcd"}
    visible = hide(Latents(values, available), torch.Generator().manual_seed(3))
    hidden = 4 - torch.cat(list(visible.values()), -1).sum(-1)
    counts = torch.bincount(hidden, minlength=4)[1:].double()
    assert ((counts - 2000).square() / 2000).sum() < 13.8


def test_hiding_is_seeded():
    available = {name: torch.ones(50, 1, dtype=torch.bool) for name in "abc"}
    latents = Latents({name: torch.zeros(50, 1, 1) for name in "abc"}, available)
    first, second = (hide(latents, torch.Generator().manual_seed(5)) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in "abc")


def without_values(rows, names="abc"):
    available = {name: torch.ones(rows, 1, dtype=torch.bool) for name in names}
    return Latents({name: torch.zeros(rows, 1, 1) for name in names}, available)


def test_equal_odds_hide_what_no_odds_hide():
    latents = without_values(200)
    plain, equal = (
        hide(latents, torch.Generator().manual_seed(5), odds=odds)
        for odds in (None, {"a": 2.5, "b": 2.5, "c": 2.5})
    )
    assert all(torch.equal(plain[name], equal[name]) for name in "abc")


def test_odds_are_the_probabilities_of_what_is_hidden_first_and_next():
    """Closed form for odds 3:1:1 and 1 or 2 hidden of three, each in half of the rows.

    a goes first in 3/5; as second behind b or c in 3/4 of the other 2/5, so it is hidden in
    1/2 3/5 + 1/2 (3/5 + 2/5 3/4) = 3/4. Five standard errors: false-alarm rate 6e-7.
    """
    n = 20_000
    generator = torch.Generator().manual_seed(0)
    visible = torch.cat(list(hide(without_values(n), generator, odds={"a": 3.0}).values()), -1)
    one = visible.sum(-1) == 2
    for share, expected, rows in (
        ((~visible[one, 0]).float().mean(), 3 / 5, one.sum()),
        ((~visible[:, 0]).float().mean(), 3 / 4, n),
        (one.float().mean(), 1 / 2, n),  # how many are hidden is as without odds
    ):
        assert abs(share - expected) < 5 * (expected * (1 - expected) / rows) ** 0.5


def test_odds_neither_hide_the_last_modality_nor_count_an_absent_one():
    latents = without_values(300)
    latents.available["b"][:150] = False
    visible = hide(latents, torch.Generator().manual_seed(0), odds={"b": 1e-6, "c": 1e6})
    assert not visible["b"][:150].any()
    kept = torch.cat(list(visible.values()), -1).sum(-1)
    assert (kept[:150] == 1).all()
    assert (kept >= 1).all()
    assert (~visible["c"][:150]).float().mean() > 0.97


@pytest.mark.parametrize(
    ("odds", "message"),
    [
        ({"d": 2.0}, r"`hiding` must name modalities of \('a', 'b', 'c'\); got \('d',\)"),
        ({"a": 0.0}, r"positive and finite.*\{'a': 0.0\}.*small odds"),
        ({"a": float("nan")}, "positive and finite"),
        ({"a": float("inf")}, "positive and finite"),
    ],
)
def test_impossible_odds_are_refused(odds, message):
    with pytest.raises(ValueError, match=message):
        hide(without_values(3), odds=odds)
