import pandas as pd
import pytest
import torch

from sure_pyro.plots import plot_source_shares, plot_variance_shares
from sure_pyro.propagation import Moments


def test_bars_stack_to_one_and_damping_hangs_below(ax):
    table = pd.DataFrame(
        {"text": [0.5, 0.7], "head": [0.5, 0.5], "interaction": [0.0, -0.2]}, index=["0", "1"]
    )
    plot_variance_shares(table, ax)
    bars = ax.patches
    tops = [max(bar.get_y() + bar.get_height() for bar in bars[k::2]) for k in (0, 1)]
    assert tops == pytest.approx([1.0, 1.2])
    assert min(bar.get_y() + bar.get_height() for bar in bars) == pytest.approx(-0.2)
    assert len({bar.get_hatch() for bar in bars}) == 3
    assert [text.get_text() for text in ax.get_xticklabels()] == ["0", "1"]
    assert ax.get_xlabel() == "modalities hidden"


def test_new_axes():
    assert plot_variance_shares(pd.DataFrame({"head": [1.0]}), xlabel="row").get_xlabel() == "row"


def test_patterns_stand_upright():
    patterns = ["top_left+top_right", "bottom_left+bottom_right", "bottom_left+top_right"]
    ax = plot_variance_shares(pd.DataFrame({"head": [1.0] * 3}, index=patterns), xlabel="visible")
    assert {text.get_rotation() for text in ax.get_xticklabels()} == {90}


def test_a_bar_per_output_over_all_rows(ax):
    a = torch.tensor([[1.0, 0.0], [3.0, 0.0]], requires_grad=True)
    moments = Moments(torch.zeros(2, 2), {"a": a, "interaction": a.detach() - 2})
    assert plot_source_shares(moments, ax) is ax
    heights = [bar.get_height() for bar in ax.containers[0]]
    assert heights == pytest.approx([1.0, 0.0])  # of [4 + 0, 0 - 4]; a total below zero has none
    assert [bar.get_height() for bar in ax.containers[1]] == pytest.approx([0.0, -4.0])
    assert (ax.get_title(), ax.get_xlabel()) == ("taylor", "output")
