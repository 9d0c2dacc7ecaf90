import json

import pytest
from torch import nn

import sure_pyro as sp
from sure_pyro.backbones.hamlet import HAMLET
from sure_pyro.backbones.named import NAMED, build_named, named_config
from tests.models.conftest import make_batch


def test_a_backbone_with_a_name_is_built_again_from_json():
    batch = make_batch()
    for backbone in (sp.MLPBackbone.for_data(batch), HAMLET.tiny()):
        name, config = named_config(backbone)
        again = build_named(name, json.loads(json.dumps(config)))
        shapes = {k: v.shape for k, v in backbone.state_dict().items()}
        assert {k: v.shape for k, v in again.state_dict().items()} == shapes
        assert again.modalities == backbone.modalities


def test_systems_with_encoders_of_transformers():
    pytest.importorskip("transformers")
    from sure_pyro.backbones.mmbt import MMBT
    from sure_pyro.backbones.mmml import MMML

    for backbone in (MMML.tiny(), MMBT.tiny()):
        name, config = named_config(backbone)
        again = build_named(name, json.loads(json.dumps(config)))
        again.load_state_dict(backbone.state_dict())
    systems = {"MLPBackbone", "TransformerBackbone", "MMML", "MMBT", "HAMLET"}
    assert set(NAMED) == systems | {"TransformersBackbone"}


def test_a_network_of_the_users_has_no_name_and_no_file_names_another_class():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(2, 2)

        def forward(self, x):
            return self.a(x)

    class MLPBackbone(sp.Backbone):  # the same name, but not ours
        def encode(self, batch):
            return {"x": batch["x"]}

        def fuse(self, latents):
            return latents["x"]

    assert named_config(sp.Backbone.wrap(Net(), {"x": "a"})) is None
    assert named_config(MLPBackbone(["x"])) is None
    with pytest.raises(ValueError, match=r"no backbone 'system'; there are \['MLPBackbone'"):
        build_named("system", {})
