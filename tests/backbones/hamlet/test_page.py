"""The Python blocks of the page run, at the tiny width and once at the official one."""

import torch

from tests.test_readme import run_blocks, small

__all__ = ["small"]


def test_python_blocks_of_the_page_run(small):
    torch.manual_seed(0)
    names = run_blocks("docs/hamlet.md")
    assert 0 <= names["top2"] <= 1
    assert names["again"].config == names["backbone"].config
