import pandas as pd

from sure_pyro.plots import plot_correlations

TABLE = pd.DataFrame({"within": [0.3, 0.4], "attainable": [0.5, 0.4]}, index=["1", "2"])


def test_one_line_for_each_column(ax):
    plot_correlations(TABLE, ax)
    assert ax.lines[0].get_ydata().tolist() == [0.3, 0.4]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["within", "attainable"]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["1", "2"]


def test_new_axes():
    assert plot_correlations(TABLE, xlabel="size").get_xlabel() == "size"
