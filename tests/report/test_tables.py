from sure_pyro.metrics import METRICS
from sure_pyro.report import tables
from sure_pyro.report.evidence import Slice
from tests.report.conftest import about, propagation, target, task, uncertainty


def slices(**changes):
    return {
        "0": Slice("0", 10, task(loss=about(0)), None, propagation()),
        "random": Slice("random", 20, task(**changes), uncertainty(predicted=0.45), propagation()),
    }


def test_task():
    found = tables.task_table(slices())
    assert list(found.index) == ["0", "random masks"]
    line = found.loc["random masks"]
    assert (line["all recorded"], line["zeros"], line["SURE"]) == ("90.0%", "60.0%", "80.0%")
    assert line["won back"] == "67%"
    assert line["SURE - zeros"] == "+20.0 [+19.0, +21.0]"
    assert found.loc["0", "won back"] == "-"


def test_r2_is_no_percentage():
    line = tables.task_table(slices(score="R²")).loc["random masks"]
    assert line["SURE"] == "0.800"
    assert line["SURE - zeros"] == "+0.200 [+0.190, +0.210]"


def test_second_score():
    both = {name: 0.5 for name in ("full", "zero", "mean", "swapped", "sure")}
    found = tables.second_table({"1": Slice("1", 9, task(second=both), None, propagation())})
    assert found.loc["1", "SURE"] == "0.500"


def test_uncertainty_leaves_out_sizes_that_hide_nothing():
    found = tables.uncertainty_table(slices())
    assert list(found.index) == ["random masks"]
    assert found.loc["random masks", "predicted / observed variance"] == "0.90"


def test_propagation():
    line = tables.propagation_table(slices()).loc["random masks"]
    assert line["Taylor - point"] == "-0.100 [-0.110, -0.090]"
    assert line["cross-check"] == "3 agree"


def test_targets_with_and_without_classes():
    found = tables.target_table(
        {"image": target(0.0, 0.6, -0.4, "nothing"), "text": target(0.5)}, {"image": 0.1}
    )
    assert found.loc["image", "reconstructed"] == "the class only"
    assert found.loc["image", "R²"] == "0.00 [-0.01, 0.01]"
    assert found.loc["text", "between classes"] == "-"
    assert found.loc["text", "R², all others visible"] == "-"


def test_headings_and_words_are_those_of_the_registry():
    headings = tables.uncertainty_table(slices()).columns
    for name in ("reconstruction_error", "correlation_within", "variance_ratio"):
        assert METRICS[name].label in headings
    columns = tables.propagation_table(slices()).columns
    assert {"NLL point", "NLL Taylor", "NLL sampling", "AURC point"} <= set(columns)
    found = tables.words(task(second_score="RMSE"))
    assert (found["second"], found["direction"]) == ("RMSE (units of the target)", "smaller")
    assert tables.words(task())["direction"] == "larger"
    assert found["nll"] == "NLL, nats per row"
