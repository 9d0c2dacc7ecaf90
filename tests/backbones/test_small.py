import pytest
import torch

import sure_pyro as sp
from sure_pyro.backbones import Backbone, check_backbone
from sure_pyro.backbones.pretraining import task_loss
from sure_pyro.data import Batch
from tests.models.conftest import make_batch


def test_freezing_is_for_good():
    backbone = sp.MLPBackbone.for_data(make_batch()).freeze()
    backbone.train()
    assert not any(module.training for module in backbone.modules())
    assert not any(p.requires_grad for p in backbone.parameters())


@pytest.mark.parametrize("task", ["classification", "regression", "multilabel"])
@pytest.mark.parametrize("kind", [sp.MLPBackbone, sp.backbones.TransformerBackbone])
def test_pretraining_learns_the_task_and_freezes(kind, task):
    train, validation = (make_batch(B=120, seed=s, task=task) for s in (0, 1))
    torch.manual_seed(0)
    backbone = kind.for_data(train, latent_size=8)
    before = task_loss(backbone.eval(), validation.complete()).item()
    sp.pretrain(backbone, train, validation, epochs=25, batch_size=32, progress_bar=False)
    assert task_loss(backbone, validation.complete()).item() < 0.8 * before
    assert not backbone.training


@pytest.mark.parametrize("kind", [sp.MLPBackbone, sp.backbones.TransformerBackbone])
def test_small_backbones_pass_the_check_that_every_backbone_must(kind):
    batch = make_batch(missing=False)
    check_backbone(kind.for_data(batch).freeze(), batch)


def test_readout_is_the_network_from_the_representation_on():
    batch = make_batch(task="regression", missing=False)
    backbone = sp.MLPBackbone.for_data(batch).freeze()
    h = backbone.fuse(backbone.encode(batch))
    torch.testing.assert_close(backbone.readout(64)(h), backbone(batch))


def test_a_near_constant_column_can_not_rule_a_latent():
    batch = make_batch(missing=False)
    backbone = sp.MLPBackbone.for_data(batch)
    extreme = {name: x + 1e6 for name, x in batch.features.items()}
    for x in backbone.standardized(Batch(extreme)).values():
        assert x.abs().max() <= 8


def test_encode_must_name_its_modalities():
    class Renamed(Backbone):
        def encode(self, batch):
            return {"a": batch.features["image"]}

        def fuse(self, latents):
            return latents["a"]

    with pytest.raises(ValueError, match=r"must return the modalities \('image',\).*got \('a',\)"):
        check_backbone(Renamed(["image"]), sp.from_arrays({"image": torch.zeros(2, 3)}))


def test_features_and_parameters_must_have_one_dtype():
    batch = make_batch(dtype=torch.float64)
    backbone = sp.MLPBackbone.for_data(batch).float()
    with pytest.raises(ValueError, match=r"features are .*float64.* dtype=torch.float32"):
        sp.SURE(backbone).initialize(batch)


def test_images_are_no_tokens():
    with pytest.raises(ValueError, match=r"\(steps, channels\); got \{'image': \(3, 8, 8\)\}"):
        sp.backbones.TransformerBackbone({"image": (3, 8, 8)}, 2)


def test_nothing_complete_to_pretrain_on():
    batch = make_batch()
    available = batch.available.clone()
    available[:, 0] = False
    none = sp.from_arrays(batch.features, batch.target, available=available)
    with pytest.raises(ValueError, match="No row of `train` has all modalities"):
        sp.pretrain(sp.MLPBackbone.for_data(batch), none, batch)


def test_pretraining_reads_the_validation_rows_by_the_names_of_their_classes():
    train, validation = make_batch(B=60), make_batch(B=60, seed=1)

    def pretrained(rows):
        backbone = sp.MLPBackbone.for_data(train, seed=0)
        sp.pretrain(backbone, train, rows, epochs=2, progress_bar=False)
        return backbone.state_dict()

    turned = validation.replace(target=2 - validation.target, class_names=("2", "1", "0"))
    a, b = pretrained(validation), pretrained(turned)
    assert all(torch.equal(a[name], b[name]) for name in a)
    with pytest.raises(ValueError, match="`validation` must have the class_names of `train`"):
        pretrained(validation.replace(class_names=("a", "b", "c")))
