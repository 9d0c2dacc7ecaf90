"""The dial takes away what modalities have in common, and nothing else."""

import numpy as np
import pytest
import torch

import sure_pyro as sp
from experiments.decorrelate import dials, scramble, scrambled_parts, synthetic_parts


@pytest.fixture(scope="module")
def digits():
    return sp.load("digits")


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_every_class_keeps_the_rows_of_every_modality(digits, share):
    found = scramble(digits, share, seed=0)
    assert found.target.equal(digits.target)
    for name in digits.modalities:
        for k in range(10):
            before, after = (x.features[name][x.target == k].numpy() for x in (digits, found))
            order = [np.lexsort(x.T) for x in (before, after)]
            np.testing.assert_array_equal(before[order[0]], after[order[1]])


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_no_more_than_the_share_is_moved(digits, share):
    found = scramble(digits, share, seed=0)
    assert found.features["top_left"].equal(digits.features["top_left"])  # the first stays
    moved = (found.features["top_right"] != digits.features["top_right"]).any(1).float().mean()
    assert moved <= share + 0.01  # rounded in each class
    assert moved >= 0.9 * share  # few meet a row that looks the same


def test_the_correlation_within_classes_falls_to_none(digits):
    def within(batch):
        left, right = (batch.features[m].mean(1).numpy() for m in ("top_left", "bottom_left"))
        one = [np.corrcoef(left[y], right[y])[0, 1] for y in (batch.target.numpy() == k
                                                              for k in range(10))]  # fmt: skip
        return float(np.mean(np.abs(one)))

    # 10 classes of about 180 rows: |r| has the mean 0.06 where nothing is in common
    assert within(digits) > 0.2
    assert within(scramble(digits, 1.0, seed=0)) < 0.1


def test_modalities_are_moved_independently():
    x = torch.arange(200.0)[:, None]
    data = sp.Batch({"a": x, "b": x, "c": x}, target=torch.zeros(200, dtype=torch.int64))
    found = scramble(data, 1.0, seed=0).features
    assert not found["b"].equal(found["c"])
    assert not found["b"].equal(found["a"])


def test_rows_do_not_straddle_the_cut():
    parts, plain = scrambled_parts(1.0, seed=0), sp.load("digits").split(seed=0)
    for part, before in zip(parts, plain, strict=True):
        for name in part.modalities:
            assert part.features[name].sort(0).values.equal(before.features[name].sort(0).values)


def test_synthetic_share_is_the_correlation_of_what_is_common():
    shared, alone = (synthetic_parts(s, seed=0, num_rows=4000)[0] for s in (0.9, 0.0))
    largest = [
        np.abs(np.corrcoef(b.features["a"].T, b.features["b"].T)[:4, 4:]).max()
        for b in (shared, alone)
    ]
    assert largest[0] > 0.5
    assert largest[1] < 0.12  # 2400 rows of tau^2-mixed normals: kurtosis 3 e, sd about 0.024


def test_levels_are_named_after_the_dial():
    names = list(dials({"digits": "digits"}))
    assert names[0] == "synthetic 0.9"
    assert "digits 1.0" in names


def test_bad_input(digits):
    with pytest.raises(ValueError, match="`share` must lie in"):
        scramble(digits, 1.5, seed=0)
    with pytest.raises(ValueError, match="complete and have classes"):
        scramble(sp.missing.mcar(digits, 0.3, seed=0), 0.5, seed=0)
