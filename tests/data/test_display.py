"""What a batch says of itself."""

import torch

from sure_pyro.data import Batch
from tests.data.strategies import small_batch


def test_text():
    batch = small_batch(
        recorded={"v": torch.tensor([[1, 0]] * 4).bool()},
        padding={"s": torch.tensor([[1, 1, 0]] * 4).bool()},
        test=torch.tensor([True, False, False, False]),
    )
    assert repr(batch).splitlines() == [
        "Batch of 4 rows, classification (3 classes)",
        "  v  (2,)    float32  75.0 %, recorded in parts",
        "  s  (3, 2)  float32  100.0 %, padded",
        "  2 mask patterns, 3 groups, 1 rows marked as test",
    ]


def test_tasks():
    x = {"a": torch.ones(2, 1)}
    assert "2 rows, no task" in repr(Batch(x))
    assert "regression (3 outputs)" in repr(Batch(x, target=torch.rand(2, 3)))
    labels = Batch(x, target=torch.eye(2), class_names=["p", "q"])
    assert "multilabel (2 labels)" in repr(labels)
    assert "0 rows" in repr(labels[:0])


def test_html_shows_the_same_and_escapes_names():
    page = Batch({"<b>": torch.ones(2, 1)})._repr_html_()
    assert "&lt;b&gt;" in page
    assert "<td>100.0 %</td>" in page
    assert "2 rows" in page
    assert page.count("<tr>") == 2
