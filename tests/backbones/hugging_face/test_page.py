"""The Python blocks of the page run, and what it says of them is true."""

import torch

from tests.test_readme import run_blocks, small

__all__ = ["small"]


def test_python_blocks_of_the_page_run(small):
    torch.manual_seed(0)
    names = run_blocks("docs/hugging_face.md")
    places = [tap.module for tap in names["backbone"].taps.values()]
    assert places == ["text_projection", "visual_projection"]
    assert names["backbone"].fields == ["text_embeds", "image_embeds"]
    found = [(tap.module.split(".")[-1], tap.axis) for tap in names["fusion"].taps.values()]
    assert found == [("1", 0), ("1", 1)]
    assert "Name 'bridgetower.text_model.encoder.layer.1'" in names["refusal"]
    assert names["same"]
    assert (names["prediction"].variance["text"] > 0).any()
