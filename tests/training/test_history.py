"""What a history shows."""

from sure_pyro.training import History


def test_the_best_epoch_of_each_phase_or_that_none_beat_the_start():
    history = History([{"phase": "head", "epoch": 0}], {"reconstruction": 3, "head": -1})
    assert repr(history) == (
        "History of 1 epochs (reconstruction: best epoch 3, head: no epoch beat the start)"
    )


def test_a_phase_without_the_columns_of_the_others():
    records = [
        {"phase": "reconstruction", "epoch": 0, "mse": 1.0},
        {"phase": "head", "epoch": 0, "nll": 2.0},
        {"phase": "head", "epoch": 1, "nll": 1.5},
    ]
    head = History(records).phase("head")
    assert list(head.columns) == ["phase", "nll"]
    assert head.nll.tolist() == [2.0, 1.5]
