"""Fitted models are shared by threads, as in a web service."""

from concurrent.futures import ThreadPoolExecutor

import pyro
import pytest
import torch
from torch import nn

import sure_pyro as sp


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.p, self.q = nn.Linear(5, 16), nn.Linear(16, 6), nn.Linear(4, 6)
        self.out = nn.Linear(12, 3)

    def forward(self, image, text):
        return self.out(torch.cat([self.p(self.stem(image).tanh()), self.q(text)], -1).tanh())


def fitted(seed, guide):
    torch.manual_seed(seed)
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 3, (90,), generator=g)
    x = {n: torch.randn(90, d, generator=g) + y[:, None] for n, d in (("image", 5), ("text", 4))}
    data = sp.from_arrays(x, y)
    model = sp.SURE(
        sp.Backbone.wrap(Net(), {"image": "p", "text": "q"}), reconstructor_options={"width": 16}
    )
    sp.fit(model, data[:60], data[60:80], epochs=1, guide=guide, progress_bar=False)
    rows = [sp.missing.hide_exactly(data[80 + k : 81 + k], 1, seed=k) for k in range(10)]
    return model, rows


@pytest.mark.parametrize(
    ("guide", "repetitions"),
    [
        (None, 2),
        ("map", 1),
        pytest.param(None, 100, marks=pytest.mark.slow),
        pytest.param("map", 100, marks=pytest.mark.slow),
    ],
)
def test_eight_threads_and_two_models_get_the_answers_of_one(guide, repetitions):
    models = [fitted(seed, guide) for seed in (0, 1)]
    options = {"num_weights": 3} if guide else {}
    settings = pyro.settings.get()
    jobs = [(m, row) for m, rows in models for row in rows]
    alone = [m.predict(row, **options) for m, row in jobs]
    with ThreadPoolExecutor(8) as pool:
        results = [
            (k, pool.submit(m.predict, row, **options))
            for _ in range(repetitions)
            for k, (m, row) in enumerate(jobs)
        ]
        for k, result in results:
            assert torch.equal(result.result().mean, alone[k].mean)
            assert torch.equal(result.result().total, alone[k].total)
    assert len(results) == 20 * repetitions
    assert pyro.settings.get() == settings


def test_predicting_in_training_mode_leaves_the_mode_and_is_the_same():
    model, rows = fitted(0, None)
    expected = model.predict(rows[0])
    model.train()
    assert torch.equal(model.predict(rows[0]).mean, expected.mean)
    assert model.training
    assert model.reconstructor.training
