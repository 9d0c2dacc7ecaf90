"""Fewer digits only where they suffice: relative to the spread, in whatever unit."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sure_pyro.data import from_arrays, from_dataframe
from sure_pyro.data.narrow import narrowed

F32, F64 = torch.float32, torch.float64


@pytest.mark.parametrize("offset", [1.7e9, -1e8, 2460000.5])
@pytest.mark.parametrize("step", [1.0, 0.1, 1 / 24])
def test_a_large_offset_is_refused_or_survives(offset, step):
    x = torch.as_tensor(offset + step * np.arange(50))
    if len(x.float().unique()) == 50:
        assert torch.equal(narrowed(x, F32, "x").double(), x)
    else:
        with pytest.raises(ValueError, match="x would lose its differences in torch.float32: it h"):
            narrowed(x, F32, "x")
    assert len(narrowed(x, F64, "x").unique()) == 50
    assert len(narrowed(x - x[0], F32, "x").unique()) == 50


@settings(deadline=None, max_examples=40)
@given(st.floats(-25, 25), st.integers(0, 2**31))
def test_the_unit_does_not_matter(exponent, seed):
    z = torch.randn(40, 2, generator=torch.Generator().manual_seed(seed), dtype=F64)
    y = narrowed(z * 10**exponent, F32, "x")
    torch.testing.assert_close(y.double() / 10**exponent, z, rtol=1e-6, atol=0)


def test_what_is_constant_up_to_rounding_has_nothing_to_lose():
    assert narrowed(torch.tensor([0.3, 0.1 + 0.2, 0.3], dtype=F64), F32, "x").dtype == F32
    assert narrowed(torch.full((4,), 1.7e9, dtype=F64), F32, "x").dtype == F32


def test_exact_values_pass_however_large():
    x = torch.tensor([2.0**40, 2.0**40 + 2.0**20], dtype=F64)
    assert len(narrowed(x, F32, "x").unique()) == 2
    assert narrowed(torch.arange(100) + 2**23, F32, "x").dtype == F32


@pytest.mark.parametrize("x", [1_700_000_000 + torch.arange(9), 2**60 + torch.arange(9)])
def test_integers_are_judged_too(x):
    with pytest.raises(ValueError, match="would lose its differences"):
        narrowed(x, F32, "x")


@pytest.mark.parametrize("scale", [1e-42, 1e42])
def test_what_leaves_the_range_is_refused(scale):
    with pytest.raises(ValueError, match="rescale what is very small or large"):
        narrowed(scale * torch.randn(9, dtype=F64), F32, "x")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_of_ordinary_values_is_what_was_asked_for(dtype):
    assert narrowed(torch.randn(50) + 3, dtype, "x").dtype == dtype


def test_only_what_counts_is_judged_and_the_column_is_named():
    x = torch.stack([torch.arange(9.0), 1.7e9 + torch.arange(9, dtype=F64)], 1)
    with pytest.raises(ValueError, match="column 1 has values up to 1.7e.09 that vary by 2.58"):
        narrowed(x, F32, "x")
    kept = torch.ones_like(x, dtype=torch.bool)
    kept[1:, 1] = False
    assert narrowed(x, F32, "x", kept).dtype == F32
    x[1:, 1] = float("nan")
    assert narrowed(x, F32, "x").dtype == F32
    assert narrowed(x, None, "x") is x


def test_every_door_refuses_what_it_would_merge():
    seconds = 1.7e9 + np.arange(12)
    x, df = {"t": seconds[:, None]}, pd.DataFrame({"t": seconds, "v": np.arange(12) / 7})
    refusal = "would lose its differences in torch.float32"
    with pytest.raises(ValueError, match=f"Modality 't' {refusal}"):
        from_arrays(x, dtype=F32)
    with pytest.raises(ValueError, match=f"Field 'u' of modality 't' {refusal}"):
        from_arrays({"t": {"u": seconds[:, None]}}, dtype=F32)
    with pytest.raises(ValueError, match=f"`target` {refusal}"):
        from_arrays({"v": np.ones((12, 1))}, seconds, dtype=F32)
    with pytest.raises(ValueError, match=f"`target` {refusal}"):
        from_arrays({"v": np.ones((12, 1), "f4")}, seconds.astype(int), task="regression")
    with pytest.raises(ValueError, match=f"Column 't' of modality 'm' {refusal}"):
        from_dataframe(df, {"m": ["v", "t"]})
    with pytest.raises(ValueError, match=f"`target` {refusal}"):
        from_dataframe(df, {"m": ["v"]}, "t")
    kept = from_arrays(x, seconds)
    assert len(kept.features["t"].unique()) == len(kept.target.unique()) == 12
    with pytest.raises(ValueError, match=f"Modality 't' {refusal}"):
        kept.to(F32)
    assert from_dataframe(df, {"m": ["v"]}, "t", dtype=F64).target.tolist() == seconds.tolist()


def test_wide_integers_are_not_rounded_unseen():
    wide = 1_700_000_000_000_000_000 + np.arange(4)
    df = pd.DataFrame({"a": wide, "b": [0.5] * 4, "y": [0, 1, 0, 1]})
    with pytest.raises(ValueError, match="'x', column 'a', holds integers that lose digits"):
        from_arrays({"x": df[["a", "b"]]})
    df["a"] = pd.array([*wide[:3], None], dtype="Int64")
    with pytest.raises(ValueError, match="'a' of modality 'x' would lose its differences"):
        from_dataframe(df, {"x": ["a"]}, "y", dtype=F64, nan="missing")


def test_what_is_absent_does_not_count():
    x = np.array([[1.0], [2.0], [1e30]])
    batch = from_arrays({"a": x, "b": x / 1e30}, available={"a": [True, True, False]}, dtype=F32)
    assert batch.features["a"].flatten().tolist() == [1, 2, 0]
