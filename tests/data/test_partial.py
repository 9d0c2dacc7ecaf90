"""Partly recorded modalities: absent, imputed or kept."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sure_pyro.data import Batch, resolve_partial
from sure_pyro.data.standardize import Standardizer
from tests.data.strategies import batch_fields, same, small_batch


def partly():
    recorded = {"v": torch.tensor([[1, 1], [1, 1], [1, 0], [1, 1]]).bool()}
    recorded["s"] = torch.ones(4, 3, 2).bool()
    recorded["s"][3, 0] = False
    return small_batch(recorded=recorded)


def test_absent_takes_the_whole_modality():
    batch = resolve_partial(partly())
    assert batch.available.tolist() == [[True, True], [False, True], [False, True], [True, False]]
    assert batch.recorded == {}
    assert (batch.features["v"][2] == 0).all()
    only_v = resolve_partial(partly(), modalities=["v"])
    assert only_v.available[3].all()
    assert list(only_v.recorded) == ["s"]


def test_absent_may_leave_rows_with_nothing():
    recorded = {"s": torch.ones(4, 3, 2).bool()}
    recorded["s"][1, 0] = False  # row 1 has nothing else
    batch = small_batch(recorded=recorded)
    with pytest.raises(ValueError, match=r"No modality is available in row 1"):
        resolve_partial(batch)
    assert not resolve_partial(batch, allow_empty=True).available[1].any()


def test_impute_fills_the_gaps_only():
    batch = resolve_partial(partly(), "impute", means={"v": torch.tensor([50.0, 60.0])})
    assert batch.recorded == {}
    assert batch.features["v"].tolist() == [[1, 2], [0, 0], [5, 60], [7, 8]]
    assert (batch.features["s"][3, 0] == 0).all()
    assert torch.equal(batch.available, partly().available)


def test_imputing_the_training_mean_is_imputing_zero_after_standardisation():
    batch = partly()
    standardizer = Standardizer.of(batch)
    before = standardizer.transform(resolve_partial(batch, "impute", means=standardizer.means))
    after = resolve_partial(standardizer.transform(batch), "impute")
    for name in batch.modalities:
        torch.testing.assert_close(before.features[name], after.features[name])


def test_padding_is_not_imputed():
    tokens = torch.tensor([[1, 1, 0]] * 4).bool()
    recorded = torch.ones(4, 3, 2).bool()
    recorded[0, 0] = False
    batch = small_batch(padding={"s": tokens}, recorded={"s": recorded})
    filled = resolve_partial(batch, "impute", means={"s": torch.tensor([9.0, 9.0])})
    assert (filled.features["s"][0, 0] == 9).all()
    assert (filled.features["s"][:, 2] == 0).all()


@settings(deadline=None, max_examples=30)
@given(batch_fields(), st.sampled_from(["absent", "impute"]))
def test_nothing_is_partly_recorded_afterwards(fields, policy):
    batch = Batch(**fields)
    resolved = resolve_partial(batch, policy, allow_empty=True)
    assert resolved.recorded == {}
    assert not (resolved.available & ~batch.available).any()
    same(resolve_partial(batch, "keep"), batch)


def test_errors():
    with pytest.raises(ValueError, match="'absent', 'impute' or 'keep'; got 'drop'"):
        resolve_partial(partly(), "drop")
    with pytest.raises(ValueError, match=r"`modalities` names .*\['w'\]"):
        resolve_partial(partly(), modalities=["w"])
    with pytest.raises(ValueError, match=r"`means` names .*\['w'\]"):
        resolve_partial(partly(), "impute", means={"w": torch.zeros(1)})
