import pytest
import torch
from torch import nn

from sure_pyro.backbones.hugging_face.inputs import Inputs, main_inputs
from sure_pyro.data import Batch


class Echo(nn.Module):
    """Says which keywords it was given."""

    def forward(self, input_ids=None, attention_mask=None, input_features=None,
                input_features_mask=None, labels=None):  # fmt: skip
        given = locals()
        return {k: x for k, x in given.items() if isinstance(x, torch.Tensor)}


class Pictures(nn.Module):
    def forward(self, pixel_values, pixel_values_videos=None, **kwargs):
        return pixel_values


EXISTS = torch.tensor([[True, True, False], [True, True, True]])
IDS = torch.tensor([[5, 6, 9], [5, 7, 6]])


def test_modalities_are_told_by_the_keywords():
    assert main_inputs(Echo(), None) == {"text": "input_ids", "audio": "input_features"}
    assert main_inputs(Pictures(), None) == {
        "image": "pixel_values",
        "video": "pixel_values_videos",
    }


def test_tensors_go_to_their_keyword_with_the_mask_that_the_model_takes():
    sound = torch.randn(2, 3, 4)
    batch = Batch({"text": IDS, "audio": sound}, padding={"text": EXISTS, "audio": EXISTS})
    given = Inputs({"text": "input_ids", "audio": "input_features"}, 1)(Echo(), batch)
    assert given["input_ids"].tolist() == [[5, 6, 1], [5, 7, 6]]  # 1 is this model's padding
    assert torch.equal(given["attention_mask"], EXISTS.long())
    assert torch.equal(given["input_features_mask"], EXISTS.long())
    assert torch.equal(given["input_features"], sound * EXISTS[..., None])


def test_fields_are_keywords_and_a_mask_that_is_given_is_kept():
    fields = {"input_ids": IDS, "attention_mask": EXISTS.float()}
    given = Inputs({"text": "input_ids"}, None)(Echo(), Batch({"text": fields}))
    assert given["input_ids"].tolist() == [[5, 6, 0], [5, 7, 6]]
    assert given["attention_mask"].dtype == torch.float32
    assert set(given) == {"input_ids", "attention_mask"}


@pytest.mark.parametrize(
    ("features", "main", "message"),
    [
        ({"text": {"words": IDS}}, {"text": "input_ids"}, "no input .words., which modality"),
        ({"words": IDS}, {"text": "input_ids"}, r"inputs={'words': 'input_ids', ...}"),
        (
            {"text": IDS, "other": IDS},
            {"text": "input_ids", "other": "input_ids"},
            "Two modalities give 'input_ids' to Echo; 'other' is the second",
        ),
    ],
)  # fmt: skip
def test_batches_that_do_not_fit_are_refused(features, main, message):
    with pytest.raises(ValueError, match=message):
        Inputs(main)(Echo(), Batch(features))


def test_models_that_do_not_tell_and_keywords_that_are_not_there_are_refused():
    class TextOnly(nn.Module):
        def forward(self, input_ids):
            return input_ids

    class TwoSounds(nn.Module):
        def forward(self, input_ids, input_values, input_features):
            return input_ids

    for net in (TextOnly(), TwoSounds()):
        with pytest.raises(ValueError, match="do not tell its modalities.*`inputs="):
            main_inputs(net, None)
    with pytest.raises(ValueError, match=r"`inputs` names \['tokens'\]"):
        main_inputs(TextOnly(), {"text": "tokens"})
