"""Record what the library computes on small data, and compare two records bit for bit.

    python -m benchmarks.record FOLDER                   # numbers of the code as it is
    python -m benchmarks.record --compare BEFORE AFTER   # what differs, and by how much

A record is tensors in ``tensors.safetensors`` and tables in ``tables.json``: moments of every
method of propagation and their cross-checks, and of a small SURE model the history of its fit, its
predictions, its calibration and a comparison. Made before and after a change that must not change
a number.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import sure_pyro as sp
from sure_pyro.files import folder_replacing
from sure_pyro.propagation import (
    FullCovariance,
    LaplaceNoise,
    LowRankCovariance,
    Moments,
    StudentTNoise,
    cross_check,
    mixture,
    sampling,
    taylor,
)
from sure_pyro.propagation.more import moment_matching, second_order, to_probability, unscented

Record = tuple[dict[str, Tensor], dict[str, pd.DataFrame]]


class Fusion(nn.Module):
    """A transformer layer over one token per modality, with a linear head."""

    def __init__(self, width: int = 8, outputs: int = 3):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(width, 2, 2 * width, batch_first=True)
        self.head = nn.Linear(width, outputs)
        self.raw = nn.Linear(width, outputs)

    def forward(self, z: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Mean and noise variance of the outputs (B, C)."""
        h = self.layer(torch.stack([*z.values()], 1)).mean(1)
        return self.head(h), self.raw(h).exp()


def problem() -> tuple[nn.Module, dict[str, Tensor], dict[str, Tensor]]:
    torch.manual_seed(0)
    net = Fusion().eval().requires_grad_(False)
    mean = {name: torch.randn(12, 8) for name in "abc"}
    variance = {name: torch.rand(12, 8) / 5 for name in "ab"}
    for s2 in variance.values():
        s2[5:] = 0
    variance["a"][:2] = 0
    return net, mean, variance


def methods() -> dict[str, Moments]:
    net, mean, variance = problem()
    args = net, mean, variance
    everywhere = net, mean, {name: torch.full_like(mean[name], 0.1) for name in "ab"}
    root, low = torch.randn(12, 8, 8), torch.randn(12, 8, 2) / 3
    full = net, mean, {"a": FullCovariance(root @ root.mT / 20), "b": variance["b"]}
    ranked = net, mean, {"a": LowRankCovariance(low, torch.rand(12, 8) / 9), "b": variance["b"]}
    stack = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 3))
    stack = stack.requires_grad_(False)
    one = stack, mean["a"], torch.rand(12, 8)

    def weights(seed: int) -> dict[str, Tensor]:
        g = torch.Generator().manual_seed(seed)
        return {"head.weight": net.head.weight + torch.randn(3, 8, generator=g) / 9}

    found = {
        "taylor": taylor(*args),
        "taylor/everywhere": taylor(*everywhere),
        "taylor/covariance": taylor(*args, output_covariance=True),
        "taylor/graph": taylor(*args, create_graph=True).detach(),
        "taylor/full": taylor(*full),
        "taylor/low rank": taylor(*ranked, output_covariance=True),
        "second order": second_order(*args),
        "second order/full": second_order(*full),
        "second order/probes": second_order(*args, probes=4, seed=3),
        "sampling": sampling(*args, num_samples=200),
        "sampling/joint": sampling(*args, num_samples=200, by_source=False),
        "sampling/covariance": sampling(*args, num_samples=200, output_covariance=True),
        "sampling/control": sampling(*args, num_samples=64, control="taylor"),
        "sampling/control everywhere": sampling(
            *everywhere, num_samples=64, control="taylor", output_covariance=True
        ),
        "sampling/sobol": sampling(*args, num_samples=256, draws="sobol"),
        "sampling/sobol, control": sampling(
            *args, num_samples=256, draws="sobol", control="taylor"
        ),
        "sampling/full": sampling(*full, num_samples=100),
        "sampling/low rank": sampling(*ranked, num_samples=100, control="taylor"),
        "sampling/error": sampling(*args, relative_error=0.05, num_samples=50),
        "sampling/student": sampling(*args, num_samples=100, noise=StudentTNoise(5)),
        "sampling/laplace": sampling(*args, num_samples=100, noise={"a": LaplaceNoise()}),
        "sampling/weights": sampling(*args, num_samples=50, weights=weights),
        "sampling/weights, control": sampling(
            *args, num_samples=64, weights=weights, control="taylor"
        ),
        "unscented": unscented(*args),
        "unscented/kappa": unscented(*ranked, kappa=1.0),
        "moment matching": moment_matching(*one),
    }
    logits = taylor(*everywhere, output_covariance=True)
    for method in ("delta", "probit"):
        found[f"softmax/{method}"] = to_probability(logits, method=method)
        found[f"sigmoid/{method}"] = to_probability(logits, "sigmoid", method)
    scaled = [(net, {n: f * z for n, z in mean.items()}, variance) for f in (0.9, 1.0, 1.2)]
    found["mixture/taylor"] = mixture([taylor(*s, output_covariance=True) for s in scaled])
    found["mixture/sampling"] = mixture([sampling(*s, num_samples=50) for s in scaled])
    return found


def tensors_of(m: Moments) -> dict[str, Tensor]:
    found = {"mean": m.mean, "variance": m.variance, "sd": m.sd}
    parts = {"source": m.sources, "error": m.errors, "covariance": m.covariances or {}}
    for part, values in parts.items():
        found |= {f"{part} {name}": value for name, value in values.items()}
    one = {"mean_error": m.mean_error, "explained": m.explained}
    return found | {name: value for name, value in one.items() if value is not None}


def propagation() -> Record:
    found = methods()
    tensors = {f"{k}: {name}": t for k, m in found.items() for name, t in tensors_of(m).items()}
    pairs = [
        ("taylor", "sampling"),
        ("taylor", "sampling/control"),
        ("taylor", "sampling/sobol"),
        ("second order", "sampling"),
        ("unscented", "sampling/control"),
        ("mixture/taylor", "mixture/sampling"),
    ]
    checks = {f"{a} by {b}": cross_check(found[a], found[b]) for a, b in pairs}
    tables = {name: check.to_dataframe().reset_index() for name, check in checks.items()}
    summaries = pd.DataFrame({"summary": {name: c.summary() for name, c in checks.items()}})
    return tensors, {**tables, "summaries": summaries.reset_index()}


def fitted(data: sp.Batch, options: dict) -> tuple[sp.SURE, pd.DataFrame, sp.Batch, sp.Batch]:
    train, val, test = data.split(seed=0)
    backbone = sp.MLPBackbone.for_data(train, seed=0)
    sp.pretrain(backbone, train, val, epochs=2, seed=0, progress_bar=False)
    model = sp.SURE(backbone, reconstructor_options={"width": 16})
    quiet = {"epochs": 3, "seed": 0, "progress_bar": False}
    history = sp.fit(model, train, val, **quiet, **options)
    return model, history.to_dataframe(), val, test


def model(kind: str, data: sp.Batch, options: dict) -> Record:
    net, history, val, test = fitted(data, options)
    gappy = sp.missing.mcar(test, rate=0.4, seed=1)
    how = {"propagate": "both", "num_samples": 100, "num_weights": 4, "seed": 0}
    p = net.predict(gappy, **how)
    calibrated = sp.recalibrate(net, val, propagate="both", num_samples=50, seed=0)
    tensors = {}
    for name, prediction in (("as fitted", p), ("recalibrated", calibrated.predict(gappy, **how))):
        for method, m in prediction.moments.items():
            tensors |= {f"{kind}, {name}, {method}: {k}": t for k, t in tensors_of(m).items()}
        for method, t in prediction.probabilities.items():
            if t is not None:
                tensors[f"{kind}, {name}, {method}: probabilities"] = t
    return tensors, {
        f"{kind}, history": history.filter(regex="^(?!.*seconds)"),
        f"{kind}, cross-check": p.cross_check().to_dataframe().reset_index(),
        f"{kind}, calibration": sp.calibration_table(p, gappy, repetitions=20),
    }


def comparison(data: dict[str, sp.Batch]) -> Record:
    few = {"epochs": 2}
    result = sp.compare(
        ["elbo+pcc", "sure", "zero"], data, seeds=1, fit=few, pretraining=few, progress_bar=False
    )
    table = result.to_dataframe()
    return {}, {"comparison": table[~table["metric"].str.contains("seconds|mib|memory")]}


def record(folder: Path) -> None:
    digits = sp.load("digits")[:300]
    regression, _ = sp.synthetic(num_rows=300, seed=0)
    found = [
        propagation(),
        model("digits", digits, {}),
        model("digits, sure", digits, {"objective": "sure"}),
        model("digits, weights", digits, {"guide": "laplace"}),
        model("synthetic", regression, {"objective": "elbo+spearman"}),
        comparison({"digits": digits, "synthetic": regression}),
    ]
    tensors = {name: t.contiguous() for part, _ in found for name, t in part.items()}
    tables = {
        name: json.loads(table.to_json(orient="split", double_precision=15))
        for _, part in found
        for name, table in part.items()
    }
    with folder_replacing(folder) as unfinished:
        save_file(tensors, unfinished / "tensors.safetensors")
        (unfinished / "tables.json").write_text(json.dumps(tables, indent=1))
    print(f"{len(tensors)} tensors and {len(tables)} tables in {folder}.")


def differences(before: Path, after: Path) -> pd.DataFrame:
    """Largest difference of every tensor and column that is not the same, bit for bit."""
    old, new = (numbers(folder) for folder in (before, after))
    lines = []
    for name in [*old, *(name for name in new if name not in old)]:
        if name not in old or name not in new:
            lines.append((name, "only before" if name in old else "only after", float("nan")))
            continue
        a, b = old[name], new[name]
        if isinstance(a, Tensor) and a.shape == b.shape:
            if not torch.equal(a.nan_to_num(), b.nan_to_num()):
                size = a.double().abs().max()
                gap = (a.double() - b.double()).abs().nan_to_num().max() / size
                lines.append((name, "relative to the largest", float(gap)))
        elif isinstance(a, Tensor) or a != b:
            lines.append((name, "not alike", float("nan")))
    return pd.DataFrame(lines, columns=["what", "how", "difference"])


def numbers(folder: Path) -> dict[str, Tensor | list]:
    """All numbers of a record by name: its tensors, and the columns of its tables."""
    found: dict[str, Tensor | list] = dict(load_file(folder / "tensors.safetensors"))
    for name, stored in json.loads((folder / "tables.json").read_text()).items():
        table = pd.DataFrame(stored["data"], columns=stored["columns"])
        for column in table:
            values = table[column]
            key = f"{name}[{column}]"
            if pd.api.types.is_numeric_dtype(values):
                found[key] = torch.tensor(values.to_numpy(dtype=float))
            else:
                found[key] = values.tolist()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--compare", action="store_true", help="two folders: before, after")
    options = parser.parse_args()
    if not options.compare:
        torch.set_num_threads(1)
        record(*options.folders)
        return
    found = differences(*options.folders)
    print(found.to_string(index=False) if len(found) else "Nothing differs, bit for bit.")


if __name__ == "__main__":
    main()
