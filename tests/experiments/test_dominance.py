"""What is measured, odds, masks, and a run on little data."""

import numpy as np
import pytest
import torch

import sure_pyro as sp
from experiments import dominance
from experiments.common import Options
from tests.models.conftest import make_batch


def test_unbalanced_digits_hold_every_pixel_once():
    batch, digits = dominance.unbalanced_digits(), sp.load("digits")
    assert {n: tuple(x.shape[1:]) for n, x in batch.features.items()} == {
        "most": (48,), "left": (8,), "right": (8,),
    }  # fmt: skip
    both = [torch.cat(list(b.features.values()), -1).sort(-1).values for b in (batch, digits)]
    assert torch.equal(*both)
    last = digits.features["bottom_right"].reshape(-1, 4, 4)
    assert torch.equal(batch.features["right"].reshape(-1, 4, 2), last[:, :, 2:])


def test_odds_are_in_proportion_within_their_bounds():
    odds = dominance.odds_of({"a": 0.5, "b": 0.1, "c": 0.05})
    assert odds == pytest.approx({"a": 10.0, "b": 2.0, "c": 1.0})
    bounded = dominance.odds_of({"a": 0.9, "b": -0.1})
    assert bounded == {"a": dominance.MOST, "b": 1.0}


def test_the_modality_that_holds_the_class_is_found():
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(90) % 3
    noise = torch.randn(90, 3, generator=generator)
    features = {"all": 4.0 * torch.eye(3)[y] + 0.1 * noise, "chance": noise.flip(0)}
    rows = sp.from_arrays(features, y, class_names=["a", "b", "c"])
    backbone = sp.MLPBackbone.for_data(rows, latent_size=3, width=16)
    sp.pretrain(backbone, rows, rows, epochs=40, progress_bar=False)
    lost = dominance.dominance(backbone, rows, rows)
    assert lost["all"] > 0.25  # chance would be 2/3; noise of these very rows is learnt as well
    assert abs(lost["chance"]) < 0.2


@pytest.mark.parametrize("name", ["image", "text"])
def test_masks_hide_the_dominant_modality_alone_or_others_alone(name):
    rows = make_batch(B=300, missing=False)
    masks = dominance.masks_for(name)
    assert tuple(masks) == dominance.MASKS
    i, M = rows.modalities.index(name), len(rows.modalities)
    absent = masks["dominant absent"](rows, 0).available
    assert not absent[:, i].any()
    assert (absent.sum(1) == M - 1).all()
    present = masks["dominant present"](rows, 0).available
    assert present[:, i].all()
    assert set((M - present.sum(1)).tolist()) == set(range(1, M))
    assert torch.equal(masks["all present"](rows, 0).available, rows.available)


def test_what_the_others_reach_does_not_see_the_dominant_modality():
    rows = make_batch(B=20)
    alone = dominance.only_others(rows, "text")
    assert "text" not in alone.modalities
    assert len(alone) == len(rows.complete())


@pytest.mark.slow
def test_run_ends_in_table_and_picture(monkeypatch, tmp_path):
    rows = make_batch(B=90, missing=False)
    monkeypatch.setattr(dominance, "unbalanced_digits", lambda: rows)
    results, lost = dominance.run(Options(("digits",), 1, 1, 2, tmp_path, tmp_path))
    assert not results["digits"].failures
    table = dominance.summary(results)
    assert len(table) == len(dominance.MASKS) * len(dominance.remedies("text", 1))
    assert np.isfinite(table["score"]).all()
    assert dominance.picture(table, lost).axes
