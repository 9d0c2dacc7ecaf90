import pytest
import torch
from torch import nn

import sure_pyro as sp
from sure_pyro.models.start import in_units_of_target, two_logits


class Net(nn.Module):
    """Knows the target: the sum of the first features."""

    def __init__(self, scale=1.0, offset=0.0, wide=False):
        super().__init__()
        self.a, self.b = nn.Linear(3, 2), nn.Linear(3, 2)
        self.out = nn.Linear(4, 2 if wide else 1)
        nn.init.zeros_(self.out.weight)
        for layer in (self.a, self.b):
            nn.init.eye_(layer.weight)
            nn.init.zeros_(layer.bias)
        with torch.no_grad():
            self.out.weight[-1, [0, 2]] = scale
            self.out.bias.fill_(offset)

    def forward(self, image, text):
        return self.out(torch.cat([self.a(image), self.b(text)], -1))


def data(unit=1.0, shift=0.0, task="regression", n=200):
    g = torch.Generator().manual_seed(0)
    x = {"image": torch.randn(n, 3, generator=g), "text": torch.randn(n, 3, generator=g)}
    y = x["image"][:, 0] + x["text"][:, 0]
    target = shift + unit * y if task == "regression" else (y > 0).long()
    return sp.from_arrays(x, target, task=task)


def started(net, batch, **options):
    return sp.SURE(sp.Backbone.wrap(net, {"image": "a", "text": "b"}, **options)).initialize(batch)


@pytest.mark.parametrize(("unit", "shift"), [(1e-12, 0.0), (8e4, 2e5), (-3.0, 1.0)])
def test_another_unit_is_found_said_and_taken_over(unit, shift):
    batch = data(unit, shift)
    with pytest.warns(UserWarning, match=r"not in the unit of the target.*starts from target ="):
        model = started(Net(), batch)
    error = model.predict(batch, "none").mean[:, 0] - batch.target
    assert error.abs().max() < 1e-4 * unit.__abs__() * 10


@pytest.mark.parametrize("options", [{}, {"readout": "out"}])
def test_the_right_unit_is_left_alone(options):
    batch = data()
    model = started(Net(), batch, **options)
    torch.testing.assert_close(model.predict(batch, "none").mean[:, 0], batch.target)


def test_a_model_without_a_relation_to_the_target_starts_as_it_is():
    y, said = torch.randn(200, 1), torch.randn(200, 1) * 0.1
    readout = nn.Linear(3, 1)
    assert in_units_of_target(readout, said, y) is readout


def test_a_timid_model_in_the_right_unit_is_left_alone():
    y = torch.randn(200, 1)
    readout = nn.Linear(3, 1)
    assert in_units_of_target(readout, 0.3 * y, y) is readout
    with pytest.warns(UserWarning, match="not in the unit"):
        assert in_units_of_target(readout, 0.001 * y, y) is not readout


def test_few_rows_say_nothing_about_units():
    readout = nn.Linear(3, 1)
    assert in_units_of_target(readout, torch.randn(9, 1), 100 + torch.randn(9, 1)) is readout


def test_one_logit_for_two_classes():
    readout = nn.Linear(3, 1)
    h = torch.randn(5, 3)
    logits = two_logits(readout, 2)(h)
    torch.testing.assert_close(logits.softmax(-1)[:, 1:], readout(h).sigmoid())
    assert two_logits(readout, 3) is readout


def test_a_binary_network_keeps_its_answers():
    batch = data(task="classification")
    net = Net(scale=5.0)
    prediction = started(net, batch).predict(batch, "none")
    assert torch.equal(prediction.label, (net(**batch.features)[:, 0] > 0).long())


def test_a_readout_that_is_not_affine_belongs_to_the_fusion():
    net = Net(wide=True, scale=3.0)
    net.out = nn.Sequential(net.out, nn.Tanh(), nn.Linear(2, 2))
    batch = data(task="classification")
    model = started(net, batch, readout="out")
    torch.testing.assert_close(model.pretrained(batch), net(**batch.features))


def test_no_random_number_is_drawn():
    state = torch.get_rng_state()
    readout = nn.utils.skip_init(nn.Linear, 3, 1)
    with torch.no_grad():
        readout.weight.fill_(1.0)
        readout.bias.zero_()
    y = torch.linspace(-1, 1, 50)[:, None]
    two_logits(readout, 2)
    with pytest.warns(UserWarning, match="not in the unit"):
        in_units_of_target(readout, 0.001 * y, y)
    assert torch.equal(torch.get_rng_state(), state)
