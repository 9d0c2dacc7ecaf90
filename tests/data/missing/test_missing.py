"""What all generators promise: nothing comes back, one modality stays, the seed decides."""

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sure_pyro.data import Batch, missing
from tests.data.strategies import batch_fields, same, small_batch

GENERATORS = {
    "mcar": lambda b, seed, **o: missing.mcar(b, 0.3, seed, **o),
    "per_modality": lambda b, seed, **o: missing.per_modality(
        b, {name: 0.3 for name in b.modalities[1:]}, seed, **o
    ),
    "hide_exactly": lambda b, seed, **o: missing.hide_exactly(
        b, min(1, len(b.modalities) - 1), seed, **o
    ),
    "mar": lambda b, seed, **o: missing.mar(b, 0.3, seed, given="target", **o),
    "mar of a modality": lambda b, seed, **o: missing.mar(b, 0.3, seed, given="m0", **o),
    "mnar": lambda b, seed, **o: missing.mnar(b, 0.3, seed, **o),
    "block": lambda b, seed, **o: missing.block(b, 0.3, seed, **o),
    "within": lambda b, seed, **o: missing.within(b, 0.3, seed, axis="entries", **o),
}


def apply(kind: str, batch: Batch, seed, **options) -> Batch | None:
    """Batch with missingness; None where the rate can not be reached by so small a batch."""
    try:
        return GENERATORS[kind](batch, seed, **options)
    except ValueError as error:
        if re.search("can not be reached|add up to", str(error)):
            return None
        raise


@pytest.mark.parametrize("kind", GENERATORS)
@settings(deadline=None, max_examples=25)
@given(fields=batch_fields(), seed=st.integers(0, 2**31), keep_one=st.booleans())
def test_nothing_comes_back_and_one_modality_stays(kind, fields, seed, keep_one):
    batch = Batch(**fields)
    hidden = apply(kind, batch, seed, keep_one=keep_one)
    if hidden is None:
        return
    assert not (hidden.available & ~batch.available).any()
    for name in batch.modalities:
        recorded = hidden.recorded_entries(name)
        assert not (recorded & ~batch.recorded_entries(name)).any()
        assert torch.equal(hidden.features[name][recorded], batch.features[name][recorded])
        assert (hidden.features[name][~recorded] == 0).all()
    if keep_one:
        assert hidden.available.any(1).all()
    assert torch.equal(hidden.target, batch.target)
    same(apply(kind, batch, seed, keep_one=keep_one), hidden)


@pytest.mark.parametrize("kind", GENERATORS)
def test_seeds_and_generators(kind):
    torch.manual_seed(3)
    x = {f"m{i}": torch.randn(60, 4) for i in range(3)}
    batch = Batch(x, target=torch.randn(60), group=torch.arange(60) // 3)
    before = torch.random.get_rng_state()
    one = apply(kind, batch, 1)
    by_generator = apply(kind, batch, torch.Generator().manual_seed(1))
    other = apply(kind, batch, 2)
    assert torch.equal(before, torch.random.get_rng_state())
    same(one, by_generator)
    masks = [torch.cat([b.recorded_entries(n) for n in x], 1) for b in (one, other)]
    assert not torch.equal(*masks)
    assert not masks[0].all()


def test_a_row_that_is_hidden_by_one_seed_is_not_shared_with_the_original():
    batch = small_batch()
    hidden = missing.hide_exactly(batch, 1, 0)
    assert batch.available.sum() == 7
    assert hidden.available.sum() == 4
