"""Latents on disk: a model is fitted and asked as if they were in memory."""

import pytest
import torch
from torch import nn

import sure_pyro as sp
from sure_pyro.data import Batch
from sure_pyro.data.store import LatentStore
from sure_pyro.models.encode import encode_store
from sure_pyro.models.moments import moments_of
from tests.models.conftest import make_batch


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(6, 4), nn.Linear(2, 4), nn.Linear(2, 4)
        self.out = nn.Linear(12, 4)

    def forward(self, image, audio, text):
        return self.out(torch.cat([self.a(image), self.b(audio).mean(1), self.c(text)], -1).tanh())


def backbone():
    torch.manual_seed(0)
    return sp.Backbone.wrap(Net(), {"image": "a", "audio": "b", "text": "c"}, batch_size=16)


def store_of(batch, path, **options):
    options = {"shard_rows": 32, "seed": None, "progress_bar": False} | options
    return encode_store(backbone(), batch, path, **options)


def test_moments_of_a_store_are_those_of_its_rows(tmp_path):
    batch = make_batch(B=100)
    store = store_of(batch, tmp_path)
    latents = store.batch()
    for i, (name, (mean, spread)) in enumerate(moments_of(store).items()):
        z = latents.features[name][latents.available[:, i]].double().flatten(0, -2)
        torch.testing.assert_close(mean, z.mean(0))
        torch.testing.assert_close(spread, z.std(0, correction=0))


def test_a_model_fitted_on_a_store_is_that_fitted_on_the_rows(tmp_path):
    batch = make_batch(B=120)
    store = store_of(batch, tmp_path, shard_rows=200)
    models = []
    for train, validation in (
        (store.select(slice(90)), store.select(slice(90, 120))),
        (store.batch(slice(90)), store.batch(slice(90, 120))),
    ):
        body = backbone()
        body.prepare(batch)
        model = sp.SURE(body, reconstructor_options={"width": 16})
        sp.fit(model, train, validation, epochs=3, batch_size=90, progress_bar=False)
        models.append(model)
    stored, plain = (m.predict(store) for m in models)
    # One mini-batch is all rows, in two orders: the masks differ, so do the weights, a little.
    assert (stored.mean - plain.mean).abs().max() < 0.1
    torch.testing.assert_close(models[0].space.moments("image"), models[1].space.moments("image"))


def test_another_process_needs_the_store_and_the_network_only(tmp_path):
    batch = make_batch(B=60)
    store = LatentStore.open(store_of(batch, tmp_path).folder)
    model = sp.SURE(backbone(), reconstructor_options={"width": 16})
    sp.fit(model, store, epochs=1, progress_bar=False)
    a, b = model.predict(store, "both"), model.predict(batch, "both")
    torch.testing.assert_close(a.mean, b.mean)
    torch.testing.assert_close(a.total, b.total)


def test_encoding_goes_on_where_it_was_stopped(tmp_path):
    batch, body = make_batch(B=64, missing=False), backbone()
    rows: list[int] = []
    real = body.encode

    def counted(part):
        rows.append(len(part))
        if sum(rows) > 1000:
            raise KeyboardInterrupt
        return real(part)

    body.encode = counted
    encode_store(body, batch, tmp_path / "whole", seed=None, progress_bar=False)
    whole, rows[:] = sum(rows), []

    def interrupted(part):
        rows.append(len(part))
        if sum(rows) == whole - 16:
            raise KeyboardInterrupt
        return real(part)

    body.encode = interrupted
    with pytest.raises(KeyboardInterrupt):
        encode_store(body, batch, tmp_path / "part", seed=None, progress_bar=False)
    rows[:] = []
    body.encode = counted
    store = encode_store(body, batch, tmp_path / "part", seed=None, progress_bar=False)
    assert sum(rows) == whole - 64 + 32  # the check of the backbone again, and the two last blocks
    again = LatentStore.open(tmp_path / "whole").batch()
    assert torch.equal(store.batch().features["image"], again.features["image"])


def test_a_guide_asks_for_rows_in_memory(tmp_path):
    store = store_of(make_batch(B=60), tmp_path)
    model = sp.SURE(backbone())
    with pytest.raises(ValueError, match=r"`guide` needs its rows in memory.*store.batch\(rows\)"):
        sp.fit(model, store, guide="map")


def test_padding_and_parts_of_sequences_survive(tmp_path):
    batch = make_batch(B=50)
    exists = torch.arange(4) < torch.randint(1, 5, (50, 1))
    padded = Batch(
        batch.features, batch.available, batch.target, padding={"audio": exists},
        task="classification", class_names=batch.class_names,
    )  # fmt: skip
    body = sp.backbones.TransformerBackbone.for_data(padded, latent_size=8)
    store = encode_store(body, padded, tmp_path, seed=None, progress_bar=False)
    model = sp.SURE(body, reconstructor_options={"width": 16}).initialize(padded)
    direct, stored = model.encode(padded), model.encode(store)
    for name in padded.modalities:
        assert torch.equal(direct.available[name], stored.available[name])
        kept = direct.available[name]
        torch.testing.assert_close(direct.values[name][kept], stored.values[name][kept])
    assert torch.equal(direct.padding["audio"], stored.padding["audio"])
