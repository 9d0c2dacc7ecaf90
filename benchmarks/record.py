"""Record what the library computes on small data, and compare with an earlier record bit for bit.

    python -m benchmarks.record BEFORE                    # numbers of the code as it is
    python -m benchmarks.record AFTER --against BEFORE    # and what differs from those of before

A record is tensors in ``tensors.safetensors`` and tables in ``tables.json``: moments of every
method of propagation and their cross-checks; value and gradient of every objective; and of small
SURE models, with and without a posterior of their weights, the history of the fit, predictions,
calibration, conformal prediction and deferral, and a comparison. Made before and after a change
that must not change a number: under a minute on one core. An entry that has another name but the
same bits is shown as renamed.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroModule
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import sure_pyro as sp
from sure_pyro.files import folder_replacing
from sure_pyro.objectives.presets import CORRELATIONS, SCORES, preset
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


class Regression(PyroModule):
    """Three numbers and a class of every row, each with its own uncertainty."""

    def __init__(self) -> None:
        super().__init__()
        self.net = PyroModule[nn.Linear](4, 10)

    def forward(self, x: Tensor, y: Tensor, label: Tensor) -> None:
        """Score y (B, 3) and label (B,)."""
        loc, raw, logits = self.net(x).split([3, 3, 4], -1)
        with pyro.plate("rows", len(x)):
            pyro.sample("y", dist.Normal(loc, raw.exp()).to_event(1), obs=y)
            pyro.sample("label", dist.Categorical(logits=logits), obs=label)


class NoGuide(PyroModule):
    """Nothing is latent."""

    def forward(self, *args: Tensor) -> None:
        """Draw nothing."""


def objectives() -> Record:
    """Value and gradient of every score beside every correlation, as far as they go together."""
    torch.manual_seed(0)
    model = Regression()
    batch = torch.randn(24, 4), torch.randn(24, 3), torch.randint(4, (24,))
    scores = [score for score in SCORES if score != "evidential"]  # needs a site of its own kind
    names = [f"{score}+{correlation}" for score in scores for correlation in CORRELATIONS]
    tensors = {}
    for name in [*scores, *names, "faithful:elbo+pcc"]:
        elbo, handler = preset(name)
        model.zero_grad()
        with handler():
            loss = elbo(model, NoGuide())(*batch)
        loss.backward()
        tensors[f"{name}: loss"] = loss.detach()
        tensors[f"{name}: gradient"] = model.net.weight.grad.clone()
        tensors |= {f"{name}: {term}": value for term, value in elbo.terms.items()}
    return tensors, {}


def model(kind: str, data: sp.Batch, fit: Mapping, options: Mapping) -> Record:
    """History, predictions, calibration, conformal prediction and deferral of one model."""
    net, history, val, test = fitted(data, fit, options)
    gappy = sp.missing.mcar(test, rate=0.4, seed=1)
    how = {"num_samples": 100, "num_weights": 4, "seed": 0}
    calibrated = sp.recalibrate(net, val, propagate="both", num_samples=50, seed=0)
    p = net.predict(gappy, "both", **how)
    said = {"taylor": net.predict(gappy, "taylor"), "both": p}
    said |= {"sampling": net.predict(gappy, "sampling", **how)}
    said |= {"recalibrated": calibrated.predict(gappy, "both", **how)}
    tensors = {f"{kind}, {name}: {k}": t for name, p in said.items() for k, t in numbers_of(p)}
    return tensors, {
        f"{kind}, {name}": table
        for name, table in {
            "history": history.filter(regex="^(?!.*seconds)"),
            "cross-check": p.cross_check().to_dataframe().reset_index(),
            "calibration": sp.calibration_table(p, gappy, repetitions=20),
            **sets_and_deferral(net, val, p),
        }.items()
    }


def fitted(
    data: sp.Batch, fit: Mapping, options: Mapping
) -> tuple[sp.SURE, pd.DataFrame, sp.Batch, sp.Batch]:
    train, val, test = data.split(seed=0)
    backbone = sp.MLPBackbone.for_data(train, seed=0)
    sp.pretrain(backbone, train, val, epochs=2, seed=0, progress_bar=False)
    model = sp.SURE(backbone, **options)
    history = sp.fit(model, train, val, epochs=3, seed=0, progress_bar=False, **fit)
    return model, history.to_dataframe(), val, test


def numbers_of(p: sp.Prediction) -> list[tuple[str, Tensor]]:
    """Name and value of everything that a prediction says."""
    found = [(f"{way}: {k}", t) for way, m in p.moments.items() for k, t in tensors_of(m).items()]
    found += [(f"mean of {name}", r.loc) for name, r in p.reconstruction.items()]
    found += [(f"scale of {name}", r.scale) for name, r in p.reconstruction.items()]
    some = p.probabilities.items()
    return found + [(f"{way}: probabilities", t) for way, t in some if t is not None]


def sets_and_deferral(net: sp.SURE, val: sp.Batch, p: sp.Prediction) -> dict[str, pd.DataFrame]:
    tolerance = None if p.task == "classification" else 0.5
    deferral = sp.DeferralPolicy.fit(net, val, budget=0.2, tolerance=tolerance).decide(p)
    fitted = sp.conformal(net, val, 0.8)
    latents = sp.conformal_latents(net, val, 0.8)
    return {
        "deferral": pd.DataFrame({"accept": deferral.accept, "threshold": deferral.threshold}),
        "conformal": table_of(fitted.predict(p)),
        "conformal, guarantee": fitted.guarantee().reset_index(),
        **{f"conformal {name}": table_of(found) for name, found in latents.predict(p).items()},
    }


def table_of(result: object) -> pd.DataFrame:
    """Arrays of a result, one row per row of the data."""
    arrays = {k: v for k, v in vars(result).items() if isinstance(v, np.ndarray)}
    columns = {k: v.reshape(len(v), -1).T for k, v in arrays.items()}
    return pd.DataFrame({f"{k} {i}": c for k, v in columns.items() for i, c in enumerate(v)})


def comparison(data: Mapping[str, sp.Batch]) -> Record:
    few = {"epochs": 2}
    result = sp.compare(
        ["elbo+pcc", "sure", "zero"], data, seeds=1, fit=few, pretraining=few, progress_bar=False
    )
    table = result.to_dataframe()
    return {}, {"comparison": table[~table["metric"].str.contains("seconds|mib|memory")]}


def record(folder: Path) -> None:
    """Write the numbers of the code as it is."""
    digits = sp.load("digits")[:300]
    regression, _ = sp.synthetic(num_rows=300, seed=0)
    masked, pairwise = {"reconstructor_options": {"width": 16}}, {"reconstructor": "pairwise"}
    evidential = {"reconstructor_options": {"width": 16, "evidential": True}}
    found = [
        propagation(),
        objectives(),
        model("digits", digits, {}, masked),
        model("digits, sure", digits, {"objective": "sure"}, masked),
        model("digits, weights", digits, {"guide": "laplace"}, masked),
        model("digits, evidential", digits, {"objective": "evidential"}, evidential),
        model("synthetic", regression, {"objective": "elbo+spearman"}, masked),
        model("synthetic, pairwise", regression, {"guide": "mean-field"}, pairwise),
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


def entries(folder: Path) -> dict[str, Tensor]:
    """All numbers of a record by name: its tensors, and what its tables hold."""
    found: dict[str, Tensor] = dict(load_file(folder / "tensors.safetensors"))
    for name, stored in json.loads((folder / "tables.json").read_text()).items():
        found |= in_table(name, pd.DataFrame(stored["data"], columns=stored["columns"]))
    return found


def in_table(name: str, table: pd.DataFrame) -> dict[str, Tensor]:
    """Columns of the rows of one text, so that a line more or less does not hide the others."""
    table = table.assign(rows_alike=1)
    text = [c for c in table if not pd.api.types.is_numeric_dtype(table[c])]
    key = table[text].astype(str).agg(" | ".join, axis=1) if text else pd.Series("", table.index)
    return {
        f"{name}[{column}] {said}".rstrip(): torch.tensor(rows[column].to_numpy(float))
        for said, rows in table.groupby(key, sort=False)
        for column in table.columns.difference(text, sort=False)
    }


def differences(before: Path, after: Path) -> pd.DataFrame:
    """Every entry that is not the same bit for bit, with its largest relative difference."""
    old, new = entries(before), entries(after)
    lines = [(name, *difference(old[name], new[name])) for name in old if name in new]
    gone, added = ([n for n in a if n not in b] for a, b in ((old, new), (new, old)))
    for name in gone:
        other = next((n for n in added if near(name, n) and same(old[name], new[n])), None)
        lines.append((name, f"now {other}" if other else "only before", math.nan))
        added = [n for n in added if n != other]
    lines += [(name, "only after", math.nan) for name in added]
    found = pd.DataFrame(lines, columns=["entry", "what", "difference"])
    return found[found["what"] != "same"]


def near(name: str, other: str) -> bool:
    """Whether two entries may be one under two names: of one column, or tensors both."""
    return name.partition("] ")[0] == other.partition("] ")[0] if "]" in name else "]" not in other


def difference(a: Tensor, b: Tensor) -> tuple[str, float]:
    """In a word, and the largest difference relative to the largest number of the entry."""
    if same(a, b):
        return "same", 0.0
    if a.shape != b.shape:
        return f"of shape {tuple(a.shape)} before, {tuple(b.shape)} after", math.nan
    if not torch.equal(a.isfinite(), b.isfinite()):
        return "not finite in other places", math.nan
    a, b = (x.double().nan_to_num(posinf=0, neginf=0) for x in (a, b))
    return "differs, relative to the largest", float((a - b).abs().max() / a.abs().max())


def same(a: Tensor, b: Tensor) -> bool:
    """Whether two entries are the same bit for bit, NaN included."""
    return a.shape == b.shape and a.dtype == b.dtype and torch.equal(bits(a), bits(b))


def bits(x: Tensor) -> Tensor:
    """All NaN are one."""
    return torch.where(x.isnan(), torch.nan, x).flatten().view(torch.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where to record")
    parser.add_argument("--against", type=Path, help="an earlier record")
    options = parser.parse_args()
    torch.set_num_threads(1)
    record(options.folder)
    if options.against:
        found = differences(options.against, options.folder)
        print(found.to_string(index=False) if len(found) else "Nothing differs, bit for bit.")


if __name__ == "__main__":
    main()
