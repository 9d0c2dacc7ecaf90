from dataclasses import dataclass

import pytest
import torch

from sure_pyro.backbones.hugging_face.outputs import Fields, check_rowwise, usual_fields


def out(B, **more):
    fields = {
        "loss": torch.zeros(()),
        "logits_per_image": torch.zeros(B, B),
        "text_embeds": torch.ones(B, 2),
        "image_embeds": torch.zeros(B, 3),
        "last_hidden_state": torch.zeros(B, 5, 3),
        "ids": torch.zeros(B, 2, dtype=torch.int64),
    }
    return fields | {name: torch.zeros(B, *shape) for name, shape in more.items()}


def test_logits_come_first_then_embeddings_then_the_only_vector():
    assert usual_fields(out(2, logits=(4,)), out(3, logits=(4,)), "Net") == ["logits"]
    assert usual_fields(out(2), out(3), "Net") == ["text_embeds", "image_embeds"]

    def one(B):
        return {"pooler_output": torch.zeros(B, 3), "last_hidden_state": torch.zeros(B, 5, 3)}

    assert usual_fields(one(2), one(3), "Net") == ["pooler_output"]


def test_dataclasses_and_scores_of_one_number():
    @dataclass
    class Output:
        score: torch.Tensor
        rest: tuple

    two, three = (Output(torch.zeros(B), (torch.zeros(B, 2, 3),)) for B in (2, 3))
    assert usual_fields(two, three, "Net") == ["score"]
    assert Fields(["score"])(two).shape == (2, 1)


def test_fields_stand_side_by_side_and_may_be_nested():
    value = {"a": torch.ones(2, 2), "b": {"c": torch.zeros(2, 3)}}
    assert Fields(["a", ["b", "c"]])(value).tolist() == [[1, 1, 0, 0, 0]] * 2


def test_what_is_not_clear_or_not_of_a_row_is_refused():
    def two_vectors(B):
        return {"a": torch.zeros(B, 2), "b": torch.zeros(B, 2)}

    with pytest.raises(ValueError, match=r"Net returns dict .*vector per row are \['a', 'b'\]"):
        usual_fields(two_vectors(2), two_vectors(3), "Net")
    with pytest.raises(ValueError, match=r"shape \(2, 2\) for two rows and \(3, 3\) for three"):
        check_rowwise(out(2), out(3), "logits_per_image", "Net")
    check_rowwise(out(2), out(3), "text_embeds", "Net")
