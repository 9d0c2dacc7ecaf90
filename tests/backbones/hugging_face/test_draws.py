import torch
from torch import nn

from sure_pyro.backbones.hugging_face.draws import Seeded, repeatable
from sure_pyro.data import Batch


def call(net, batch):
    return net(batch["x"])


class Shuffled(nn.Module):
    def forward(self, x):
        return x[:, torch.randperm(x.shape[1])]


BATCH = Batch({"x": torch.arange(20.0).reshape(1, 20)})


def test_a_model_that_draws_says_the_same_each_time_and_moves_nobodys_generator():
    before = torch.get_rng_state()
    seeded = repeatable(call, Shuffled(), BATCH)
    assert isinstance(seeded, Seeded)
    first, second = seeded(Shuffled(), BATCH), seeded(Shuffled(), BATCH)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(first, second)
    assert torch.equal(first.sort().values, BATCH["x"])
    assert repeatable(seeded, Shuffled(), BATCH) is seeded


def test_one_that_draws_nothing_is_called_as_it_is():
    assert repeatable(call, nn.Identity(), BATCH) is call
