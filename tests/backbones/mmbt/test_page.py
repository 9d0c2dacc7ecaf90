"""The Python blocks of the page run, at the tiny width."""

import torch

from tests.test_readme import run_blocks, small

__all__ = ["small"]


def test_python_blocks_of_the_page_run(small):
    torch.manual_seed(0)
    names = run_blocks("docs/mmbt.md")
    assert set(names["scores"]) == {"micro_f1", "macro_f1", "weighted_f1", "samples_f1"}
    assert (names["prediction"].variance["image"] > 0).any()
