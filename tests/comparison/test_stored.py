"""Training rows on disk: the same table, up to the order in which a fit meets its rows."""

import pickle

import pandas as pd
import pytest
import torch

import sure_pyro as sp
from sure_pyro.comparison import data
from sure_pyro.identity import identity
from sure_pyro.metrics.registry import COSTS
from tests.models.conftest import make_batch
from tests.models.test_stored import backbone, store_of

OPTIONS = {"seeds": [3], "fit": {"epochs": 2, "batch_size": 1000}, "progress_bar": False}


@pytest.fixture
def store(tmp_path):
    return store_of(make_batch(B=150), tmp_path / "latents", shard_rows=64)


def prepared():
    made = backbone()
    made.prepare(make_batch(B=20))
    return made


def test_rows_on_disk_and_in_memory_give_one_table(store):
    rows = data.rows(lambda seed: store.split(seed=seed), "stored", 3)
    assert isinstance(rows.train, sp.LatentStore)
    found = sp.compare("zero,elbo", store, backbone=prepared(), **OPTIONS)
    batches = (rows.train.batch(), rows.validation, rows.test)
    expected = sp.compare("zero,elbo", batches, backbone=prepared(), **OPTIONS)
    assert not found.failures

    def values(result, model):
        kept = result.table[(result.table.model == model) & ~result.table.metric.isin(COSTS)]
        return kept.set_index(["kind", "slice", "metric"]).value.sort_index()

    pd.testing.assert_series_equal(values(found, "zero"), values(expected, "zero"), rtol=1e-4)
    # The fit meets its rows in another order, under other masks.
    assert values(found, "elbo").index.equals(values(expected, "elbo").index)


def test_a_finished_cell_is_found_again(store, tmp_path):
    out = tmp_path / "out"
    first = sp.compare("zero", store, backbone=prepared(), out=out, **OPTIONS)
    again = sp.compare(
        "zero", pickle.loads(pickle.dumps(store)), backbone=prepared(), out=out, **OPTIONS
    )
    assert first.table.equals(again.table)


def test_other_rows_of_a_store_are_other_rows(store):
    assert identity(store) == identity(store.select(slice(None)))
    assert identity(store) != identity(store.select(torch.arange(149)))


def test_the_network_is_asked_for(store):
    with pytest.raises(ValueError, match="only the network that made them can fuse.*got 'mlp'"):
        sp.compare("zero", store, **OPTIONS)


def test_a_guide_says_that_it_needs_rows_in_memory(store):
    found = sp.compare("elbo/laplace", store, backbone=prepared(), **OPTIONS)
    assert "A `guide` needs its rows in memory" in found.failures[0].reason
