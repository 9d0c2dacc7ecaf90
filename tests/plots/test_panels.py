import numpy as np
from matplotlib.figure import Figure

from sure_pyro.metrics import gaussian_coverage, risk_coverage
from sure_pyro.plots import plot_coverage, plot_panels, plot_risk_coverage

TARGET = np.random.default_rng(0).standard_normal(100)
CURVE = gaussian_coverage(0 * TARGET, 0 * TARGET + 1, TARGET)


def test_one_panel_for_each_pattern_with_its_rows():
    parts = {name: {"ours": CURVE} for name in ("audio", "text", "video", "x", "y")}
    axs = plot_panels(plot_coverage, parts, rows=dict.fromkeys(parts, 100))
    assert axs.shape == (2, 4)
    assert axs[0, 1].get_title() == "text\N{NO-BREAK SPACE}(100)"
    assert [ax.axison for ax in axs.flat] == [True] * 5 + [False] * 3
    assert axs[0, 0].collections  # its band of chance: the rows reached `plot_coverage`
    assert axs[0, 1].get_ylabel() == ""
    assert axs[0, 1].get_xlabel() != ""  # nothing is below it
    assert axs[0, 0].get_xlabel() == ""
    (legend,) = axs[0, 0].figure.legends  # one for all
    assert [text.get_text() for text in legend.get_texts()][-1] == "ours"
    assert all(ax.get_legend() is None for ax in axs.flat)


def test_given_axes_keep_the_legend_in_the_first():
    axs = Figure().subplots(1, 2)
    plot_panels(plot_coverage, {"a": {"ours": CURVE}, "b": {"ours": CURVE}}, axs)
    assert [ax.get_legend() is not None for ax in axs] == [True, False]
    assert not axs[0].figure.legends


def test_legends_that_differ_stay_and_scales_are_one():
    u = np.arange(4.0)
    parts = {"a": {"ours": risk_coverage(u, u)}, "b": {"ours": risk_coverage(u, 10 * u)}}
    axs = plot_panels(plot_risk_coverage, parts, oracle=False)
    assert all(ax.get_legend() is not None for ax in axs.flat)  # each has its own area
    assert axs[0, 0].get_ylim() == axs[0, 1].get_ylim()
    assert len(axs[0, 0].lines) == 1  # the option reached it
