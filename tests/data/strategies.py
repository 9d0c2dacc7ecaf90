"""Batches for tests: a small one by hand, and random ones for properties."""

import torch
from hypothesis import strategies as st

from sure_pyro.data import Batch
from sure_pyro.data.fields import labelled

NAN, INF = float("nan"), float("inf")


def small_batch(**changes) -> Batch:
    """Four rows: a vector `v`, a sequence `s` of 3 steps and 2 channels; row 1 lacks `v`."""
    fields = {
        "features": {
            "v": torch.arange(8.0).reshape(4, 2) + 1,
            "s": torch.arange(24.0).reshape(4, 3, 2) + 1,
        },
        "available": torch.tensor([[1, 1], [0, 1], [1, 1], [1, 1]]).bool(),
        "target": torch.tensor([0, 1, 2, 1]),
        "group": torch.tensor([7, 7, 8, 9]),
    }
    return Batch(**{**fields, **changes})


@st.composite
def availability(draw, max_rows: int = 12, max_modalities: int = 5) -> torch.Tensor:
    """A mask (B, M) in which every row has something."""
    B, M = draw(st.integers(1, max_rows)), draw(st.integers(1, max_modalities))
    patterns = st.integers(1, 2**M - 1)
    rows = draw(st.lists(patterns, min_size=B, max_size=B))
    return torch.tensor([[bool(row >> i & 1) for i in range(M)] for row in rows])


@st.composite
def batch_fields(draw, max_rows: int = 12, max_modalities: int = 5) -> dict:
    """Vectors and sequences, absent modalities, partly recorded ones, classes and groups.

    Fields, not a `Batch`: type checks draw random numbers of their own, which a strategy must not.
    """
    available = draw(availability(max_rows, max_modalities))
    B, M = available.shape
    source = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    features, recorded = {}, {}
    for i in range(M):
        shape = draw(st.sampled_from([(B, 1), (B, 3), (B, 4, 2)]))
        features[f"m{i}"] = torch.randn(shape, generator=source)
        if draw(st.booleans()):
            parts = torch.rand(shape, generator=source) < 0.7
            parts.reshape(B, -1)[:, 0] = True  # whole modalities go by `available`
            recorded[f"m{i}"] = parts
    target = torch.randint(0, 3, (B,), generator=source)
    group = torch.randint(0, 4, (B,), generator=source)
    return {
        "features": features,
        "available": available,
        "target": target,
        "group": group,
        "recorded": recorded,
        "class_names": ["x", "y", "z"],
    }


def same(a: Batch, b: Batch) -> None:
    """Assert that two batches agree in every field, bit for bit."""
    assert a.modalities == b.modalities
    assert (a.task, a.class_names) == (b.task, b.class_names)
    for field in ("features", "recorded", "padding"):
        x, y = getattr(a, field), getattr(b, field)
        assert set(x) == set(y), field
        for name in x:
            ours, theirs = labelled(name, x[name]), labelled(name, y[name])
            assert list(ours) == list(theirs), field
            for label in ours:
                assert ours[label].dtype == theirs[label].dtype
                assert torch.equal(ours[label], theirs[label]), (field, label)
    for field in ("available", "target", "group", "test"):
        x, y = getattr(a, field), getattr(b, field)
        assert (x is None) == (y is None), field
        if x is not None:
            assert x.dtype == y.dtype
            assert torch.equal(x, y), field
