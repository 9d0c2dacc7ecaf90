"""Targets: what they mean, and when they do not fit."""

import pytest
import torch

from sure_pyro.data.targets import check_target, infer_task
from tests.data.strategies import INF, NAN

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("target", "task"),
    [
        (torch.tensor([0, 3, 1]), "classification"),
        (torch.tensor([0, 1, 1]), "classification"),
        (torch.tensor([0.0, 1.5]), "regression"),
        (torch.tensor([[0.5], [1.0]]), "regression"),
        (torch.tensor([[0.0, 1.0], [1.0, 1.0]]), "multilabel"),
    ],
)
def test_task_of_a_target(target, task):
    assert infer_task(target) == task


def test_class_names_default_to_the_numbers_seen():
    assert check_target(torch.tensor([0, 2]), 2, CPU, None, None).class_names == ("0", "1", "2")
    named = check_target(torch.tensor([0, 2]), 2, CPU, None, ["a", "b", "c", "d"])
    assert named.class_names == ("a", "b", "c", "d")
    assert check_target(None, 2, CPU, None, None) == (None, None, None, None)


@pytest.mark.parametrize(
    ("target", "task", "names", "error", "text"),
    [
        (torch.tensor([0, 3]), None, ["a", "b"], ValueError, r"0..1 \(2 .* row 1 .* being 3"),
        (torch.tensor([-1, 0]), None, None, ValueError, "lies outside in row 0 .* being -1"),
        (torch.tensor([0, 1]), "classes", None, ValueError, "`task` must be one of .*'classes'"),
        (torch.tensor([0.5, 1]), "classification", None, ValueError, "after the point.* row 0"),
        (torch.tensor([[0, 2], [1, 0]]), "classification", None, ValueError, "a single 1.* row 0"),
        (
            torch.tensor([[0, 2], [1, 0]]),
            None,
            None,
            ValueError,
            "is neither classes .* nor labels",
        ),
        (torch.tensor([0, 10**6]), None, None, ValueError, "1,000,001 of them, of which 2 are met"),
        (torch.tensor([0.5, NAN]), None, None, ValueError, "NaN or infinite in row 1"),
        (torch.tensor([[0.5, 1], [INF, 1]]), None, None, ValueError, "NaN or infinite in row 1"),
        (torch.tensor([0.5, 1.0]), None, ["a"], ValueError, "the task is regression"),
        (torch.tensor([0.0, 1.0]), "multilabel", None, ValueError, r"\(rows, labels\); got \(2,\)"),
        (torch.tensor([[0.0], [0.5]]), "multilabel", None, ValueError, "0 and 1 only.* row 1"),
        (torch.tensor([[0.0], [1]]), None, ["a", "b"], ValueError, "must name 1 labels"),
        (torch.tensor([0, 1, 1]), None, None, ValueError, r"\(2,\) or \(2, outputs\); got \(3,\)"),
        (torch.ones(2, 1, 1), None, None, ValueError, r"got \(2, 1, 1\)"),
        (torch.ones(2, 0), None, None, ValueError, r"got \(2, 0\)"),
        ([0, 1], None, None, TypeError, "must be a tensor; got list"),
        (torch.tensor([0, 1]), None, ["a", "a"], ValueError, "must be different names"),
        (torch.tensor([0, 1]), None, [], ValueError, "at least one"),
        (torch.ones(2, device="meta"), None, None, ValueError, "`target` is on meta"),
    ],
)
def test_targets_that_do_not_fit(target, task, names, error, text):
    with pytest.raises(error, match=text):
        check_target(target, 2, CPU, task, names)
