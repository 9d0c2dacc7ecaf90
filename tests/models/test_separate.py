import torch

import sure_pyro as sp
from sure_pyro.models import MaskedReconstructor, SeparateScale
from tests.models.conftest import make_batch
from tests.models.test_reconstructors import SHAPES, inputs


def test_location_and_scale_come_from_networks_that_share_nothing():
    reconstructor = SeparateScale(SHAPES, MaskedReconstructor, width=16)
    output = reconstructor(*inputs())
    sum(r.loc.sum() for r in output.values()).backward(retain_graph=True)
    assert all(p.grad is None for p in reconstructor.spread.parameters())
    reconstructor.zero_grad()
    sum(r.scale.sum() for r in output.values()).backward()
    assert all(p.grad is None for p in reconstructor.location.parameters())


def test_each_is_what_its_own_network_says():
    reconstructor = SeparateScale(SHAPES, MaskedReconstructor, width=16).eval()
    values, visible = inputs()
    output = reconstructor(values, visible)
    for name in SHAPES:
        assert torch.equal(output[name].loc, reconstructor.location(values, visible)[name].loc)
        assert torch.equal(output[name].scale, reconstructor.spread(values, visible)[name].scale)


def test_a_model_is_built_saved_and_loaded_with_it(tmp_path):
    train = make_batch(B=40)
    model = sp.SURE(
        sp.MLPBackbone.for_data(train, latent_size=4),
        separate_scale=True,
        reconstructor_options={"width": 8},
    ).initialize(train)
    assert isinstance(model.reconstructor, SeparateScale)
    model.save(tmp_path / "model")
    again = sp.SURE.load(tmp_path / "model")
    expected, output = (m.predict(train, "none").reconstruction for m in (model, again))
    for name, r in expected.items():
        assert torch.equal(output[name].scale, r.scale)


def test_the_objective_decides_where_the_constructor_left_it_open():
    train = make_batch(B=40)
    for asked, separate, expected in (
        (None, True, True),
        (None, False, False),
        (False, True, False),
    ):
        model = sp.SURE(sp.MLPBackbone.for_data(train), separate_scale=asked)
        model.initialize(train, separate_scale=separate)
        assert isinstance(model.reconstructor, SeparateScale) is expected
