"""Standardisation sees recorded training entries only, and comes back."""

import pytest
import torch
from hypothesis import given, settings
from torch import nn

from sure_pyro.data import Batch
from sure_pyro.data.standardize import Standardizer
from tests.data.strategies import batch_fields, small_batch


def test_moments_of_what_was_recorded():
    x = torch.tensor([[1.0, 5.0], [3.0, 0.0], [99.0, 99.0], [5.0, 7.0]])
    recorded = torch.tensor([[1, 1], [1, 0], [1, 1], [1, 1]]).bool()
    batch = Batch(
        {"a": x, "b": torch.ones(4, 1)},
        torch.tensor([[1, 1], [1, 1], [0, 1], [1, 1]]).bool(),
        recorded={"a": recorded},
    )
    standardizer = Standardizer.of(batch)
    assert standardizer.means["a"].tolist() == pytest.approx([3.0, 6.0])
    assert standardizer.scales["a"].tolist() == pytest.approx([(8 / 3) ** 0.5, 1.0])
    z = standardizer.transform(batch).features["a"]
    assert z[1, 1] == 0  # not recorded: the mean
    assert z[2].tolist() == [0, 0]  # absent
    assert z[0, 1].item() == pytest.approx(-1.0)


def test_sequences_are_standardised_by_channel_without_padding():
    x = torch.tensor([[[1.0, 10], [3, 30], [50, 50]], [[5, 50], [7, 70], [9, 90]]])
    tokens = torch.tensor([[1, 1, 0], [1, 1, 1]]).bool()
    standardizer = Standardizer.of(Batch({"s": x}, padding={"s": tokens}))
    assert standardizer.means["s"].tolist() == [5, 50]
    assert standardizer.scales["s"].tolist() == pytest.approx([8**0.5, 10 * 8**0.5])


def test_constant_and_unseen_features_get_scale_one():
    x = {"a": torch.full((3, 2), 0.1), "b": torch.ones(3, 1)}
    batch = Batch(x, torch.tensor([[True, False]] * 3))
    standardizer = Standardizer.of(batch)
    assert standardizer.scales["a"].tolist() == [1, 1]
    assert standardizer.means["a"].tolist() == pytest.approx([0.1, 0.1])
    assert standardizer.means["b"].tolist() == [0]  # an empty mean is no 0/0
    assert standardizer.scales["b"].tolist() == [1]


def test_a_column_constant_up_to_rounding_counts_as_constant():
    x = torch.full((1000, 1), 1e6)
    x[::2] = torch.nextafter(x[::2], torch.tensor(2e6))
    assert Standardizer.of(Batch({"a": x})).scales["a"].item() == 1
    tiny = 1e-12 * torch.randn(1000, 1, generator=torch.Generator().manual_seed(0))
    assert Standardizer.of(Batch({"a": tiny})).scales["a"].item() == pytest.approx(1e-12, rel=0.1)


@settings(deadline=None, max_examples=40)
@given(batch_fields())
def test_there_and_back(fields):
    batch = Batch(**fields)
    batch = batch.to(torch.float64)
    standardizer = Standardizer.of(batch)
    z = standardizer.transform(batch)
    back = standardizer.inverse(z)
    for name in batch.modalities:
        torch.testing.assert_close(back.features[name], batch.features[name])
        assert (z.features[name][~batch.recorded_entries(name)] == 0).all()
    assert torch.equal(z.available, batch.available)


def test_what_is_stored_under_missing_has_no_effect():
    batch = small_batch()
    standardizer = Standardizer.of(batch)
    dirty = {name: x.clone() for name, x in batch.features.items()}
    dirty["v"][1] = float("nan")
    for name, z in standardizer(dirty, batch.available).items():
        assert torch.equal(z, standardizer.transform(batch).features[name])


def test_float64_keeps_its_precision_through_a_state_dict():
    batch = Batch({"odd.name ü": torch.tensor([[0.1], [0.30000000000000004]]).double()})
    fitted = Standardizer.of(batch)
    fresh = Standardizer(fitted.shapes).double()
    fresh.load_state_dict(fitted.state_dict())
    assert list(fresh.state_dict()) == ["mean_0", "scale_0"]
    z = fresh.transform(batch).features["odd.name ü"]
    assert z.dtype == torch.float64
    assert torch.equal(z, fitted.transform(batch).features["odd.name ü"])
    assert not list(fitted.parameters())
    assert isinstance(nn.Sequential(fitted)[0], Standardizer)


def test_restore_brings_reconstructions_to_their_units():
    standardizer = Standardizer.of(small_batch())
    z = torch.zeros(7, 5, 2)
    assert torch.equal(standardizer.restore({"v": z})["v"][0, 0], standardizer.means["v"])
    with pytest.raises(ValueError, match=r"\['w'\], .* it has \['v', 's'\]"):
        standardizer.restore({"w": z})


def test_errors():
    with pytest.raises(ValueError, match="`shapes` is empty"):
        Standardizer({})
    with pytest.raises(ValueError, match=r"Made for the event shapes .*\(9,\).* `train` has"):
        Standardizer({"v": (9,), "s": (3, 2)}).fit(small_batch())
    with pytest.raises(TypeError, match=r"'t' holds torch.int64"):
        Standardizer.of(Batch({"t": torch.ones(2, 3).long()}))


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
def test_no_threshold_has_a_unit(unit):
    x = torch.randn(50, 3, dtype=torch.float64)
    standard, scaled = (Standardizer.of(Batch({"a": v})) for v in (x, x * unit))
    torch.testing.assert_close(
        scaled.transform(Batch({"a": x * unit})).features["a"],
        standard.transform(Batch({"a": x})).features["a"],
    )


def test_an_offset_costs_no_digits_and_a_constant_has_no_spread():
    k = torch.arange(1000, dtype=torch.float64).unsqueeze(1)
    batch = Batch({"t": 1.7e9 + k, "c": torch.full((1000, 1), 0.1, dtype=torch.float64)})
    standardizer = Standardizer.of(batch)
    closed_form = ((1000**2 - 1) / 12) ** 0.5
    assert standardizer.scales["t"].item() == pytest.approx(closed_form, rel=1e-12)
    assert standardizer.scales["c"].item() == 1
    assert (standardizer.transform(batch).features["c"] == 0).all()


def test_a_spread_below_the_smallest_number_of_half_precision_is_none():
    x = torch.zeros(1000, 1, dtype=torch.float16)
    x[0] = 6e-8
    standardizer = Standardizer.of(Batch({"a": x}))
    assert standardizer.scales["a"].item() == 1
