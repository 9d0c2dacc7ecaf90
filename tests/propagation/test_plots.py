import matplotlib
import pytest
import torch

from sure_pyro.propagation import cross_check, sampling, taylor

matplotlib.use("agg")
MEAN, VARIANCE = torch.zeros(10, 2), torch.ones(10, 2)


@pytest.mark.parametrize("variance", [VARIANCE, 0 * VARIANCE])
def test_check_is_drawn_a_point_per_row_and_output(variance):
    check = cross_check(
        taylor(torch.tanh, MEAN, variance), sampling(torch.tanh, MEAN, variance, num_samples=50)
    )
    axes = check.plot()
    assert "units" in axes.get_xlabel()
    points = sum(len(line.get_xdata()) for line in axes.lines if line.get_linestyle() == "None")
    assert points == 20
    assert check.plot(ax=axes) is axes
    matplotlib.pyplot.close("all")


def test_map_of_nonlinearity_is_bright_where_the_function_bends():
    mean = torch.tensor([[0.0], [3.0]]).expand(2, 2)  # the cosine is flat at 0, and slopes at 3
    variance = torch.full_like(mean, 0.01)
    roads = (
        taylor(torch.cos, mean, variance),
        sampling(torch.cos, mean, variance, num_samples=64, control="taylor"),
    )
    axes = cross_check(*roads).plot_nonlinearity()
    shown = torch.from_numpy(axes.images[0].get_array().filled()).float()
    torch.testing.assert_close(shown, (1 - roads[1].explained).float())
    assert (shown[0] > 0.99).all()
    assert (shown[1] < shown[0]).all()
    with pytest.raises(ValueError, match='control="taylor"'):
        cross_check(roads[0], sampling(torch.cos, mean, variance)).plot_nonlinearity()
    matplotlib.pyplot.close("all")


def test_a_damping_interaction_hangs_below_zero():
    fn = lambda z: torch.tanh(2 * z["a"] + 2 * z["b"])  # noqa: E731
    mean, variance = {"a": MEAN, "b": MEAN}, {"a": VARIANCE, "b": VARIANCE}
    axes = sampling(fn, mean, variance).plot()
    bars = dict(zip(axes.get_legend_handles_labels()[1], axes.containers, strict=True))
    assert all(bar.get_height() < 0 and bar.get_y() == 0 for bar in bars["interaction"])
    matplotlib.pyplot.close("all")
