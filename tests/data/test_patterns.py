"""Mask patterns as labels."""

import torch
from hypothesis import given, settings

from sure_pyro.data import Batch
from sure_pyro.data.patterns import mask_patterns, rows_by_pattern
from tests.data.strategies import batch_fields, small_batch


def test_labels_by_hand():
    batch = small_batch()
    assert mask_patterns(batch) == ["v+s", "s", "v+s", "v+s"]
    rows = batch.rows_by_pattern()
    assert list(rows) == ["v+s", "s"]  # the fullest first
    assert rows["v+s"].tolist() == [0, 2, 3]
    empty = small_batch(available=torch.zeros(4, 2).bool(), allow_empty=True)
    assert set(mask_patterns(empty)) == {"nothing"}


@settings(deadline=None, max_examples=30)
@given(batch_fields())
def test_patterns_cover_every_row_once(fields):
    batch = Batch(**fields)
    rows = rows_by_pattern(batch)
    assert torch.cat(list(rows.values())).sort().values.tolist() == list(range(len(batch)))
    labels = mask_patterns(batch)
    assert all(labels[k] == label for label, numbers in rows.items() for k in numbers.tolist())


def test_no_rows_no_patterns():
    empty = small_batch()[:0]
    assert mask_patterns(empty) == []
    assert rows_by_pattern(empty) == {}
