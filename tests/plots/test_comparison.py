import numpy as np
import pandas as pd

from sure_pyro.plots import plot_by_hidden, plot_comparison

VALUES = pd.DataFrame({"a": [1.0, 3.0], "b": [2.0, np.nan]})


def test_a_point_for_each_seed_and_one_for_the_mean():
    ax = plot_comparison(VALUES, label="NLL", good=1.0, attainable={"b": 1.5})
    drawn = [np.asarray(line.get_xdata()).tolist() for line in ax.lines]
    assert [1.0, 3.0] in drawn
    assert [2.0] in drawn  # the mean of a
    assert [1.5, 1.5] in drawn
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["a", "b"]
    assert ax.get_xlabel() == "NLL"
    bottom, top = ax.get_ylim()
    assert bottom > top  # the first model stands first


def test_a_line_for_each_model_over_what_is_hidden():
    ax = plot_by_hidden({"0": VALUES, "1": VALUES + 1, "2": VALUES[["a"]]}, label="score")
    assert [np.asarray(line.get_ydata()).tolist() for line in ax.lines] == [
        [2.0, 3.0, 2.0],
        [2.0, 3.0],
    ]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]
    assert plot_by_hidden({"0": VALUES}, ax) is ax
