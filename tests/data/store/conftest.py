"""A small dataset of latents, and an encoder that counts."""

from collections import Counter

import pytest
import torch

ROWS = 53


class Encoder:
    """Gives rows of fixed tensors, and counts how often each row was asked for."""

    def __init__(self, rows: int = ROWS, seed: int = 0, dtype=torch.float32):
        draw = torch.Generator().manual_seed(seed)
        lengths = torch.randint(1, 6, (rows,), generator=draw)
        padding = torch.arange(5) < lengths.unsqueeze(1)
        here = torch.rand(rows, 2, generator=draw) < 0.7
        here[:, 0] |= ~here[:, 1]
        values = {
            "text": torch.randn(rows, 5, 3, generator=draw, dtype=torch.float64).to(dtype),
            "audio": torch.randn(rows, 4, generator=draw, dtype=torch.float64).to(dtype),
        }
        self.fields = {
            "values": values,
            "available": here,
            "padding": {"text": padding | ~here[:, :1]},
            "target": torch.arange(rows) % 3,
            "group": torch.arange(rows) // 4,
        }
        self.split = ["train"] * (rows - 20) + ["validation"] * 8 + ["test"] * 12
        self.calls: Counter = Counter()
        self.fail_at: int | None = None

    def __call__(self, numbers):
        if self.fail_at is not None and self.fail_at in numbers:
            raise KeyboardInterrupt
        self.calls.update(numbers)
        index = torch.tensor(numbers)
        fields = {
            key: {n: x[index] for n, x in value.items()}
            if isinstance(value, dict)
            else value[index]
            for key, value in self.fields.items()
        }
        return fields | {"split": [self.split[i] for i in numbers]}

    def expected(self, index):
        """What a store must give for these rows."""
        here = self.fields["available"][index]
        padding = self.fields["padding"]["text"][index]
        available = {"text": padding & here[:, :1], "audio": here[:, 1:]}
        raw = {
            "text": self.fields["values"]["text"],
            "audio": self.fields["values"]["audio"][:, None],
        }
        values = {n: z[index] * available[n].unsqueeze(-1) for n, z in raw.items()}
        return {
            "values": values,
            "available": available,
            "padding": {"text": padding},
            "target": self.fields["target"][index],
            "group": self.fields["group"][index],
            "source": index,
        }


def same(came, expected):
    """Equal to the last bit, field by field."""
    assert set(came) == set(expected)
    for key, value in expected.items():
        pairs = [(came[key], value)]
        if isinstance(value, dict):
            assert set(came[key]) == set(value)
            pairs = [(came[key][name], x) for name, x in value.items()]
        for a, b in pairs:
            assert (a.dtype, a.shape) == (b.dtype, b.shape), key
            assert torch.equal(a, b), key


@pytest.fixture
def encoder():
    return Encoder()
