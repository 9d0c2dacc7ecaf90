"""SURE on two real pretrained encoders: emoji without their picture, their name, their keywords.

An emoji has a picture, a name and keywords, and belongs to one of eight groups. A network is built
as one would build it: an EfficientNet-Lite0 pretrained on ImageNet looks at the picture, the
WordLlama token embedding reads the two texts, both are frozen, and what stands behind them is
trained on complete rows. It is then cut by the names of three of its submodules, SURE is fitted,
and every subset of the modalities is taken away from the test part.

::

    pip install "sure-pyro[pretrained]"
    python notebooks/emoji.py --data emoji.npz       # five seeds; JSON, tables and a picture
    python notebooks/emoji.py --data emoji.npz --small   # a minute, to see that everything works
"""

import argparse
import json
import resource
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from emoji_tables import draw, tables
from torch import Tensor, nn
from tqdm.auto import tqdm

import sure_pyro as sp
from sure_pyro.backbones.pretrained import Lite0Encoder, WordLlamaEncoder, WordLlamaTokenizer
from sure_pyro.data import every_mask
from sure_pyro.evaluation.hidden import hidden_latents
from sure_pyro.files import write_text

FOLDER = Path(__file__).resolve().parent
DATA = FOLDER.parents[1] / "shared" / "data" / "emoji" / "emoji.npz"
RESULTS = FOLDER / "emoji_results.json"
PICTURE = FOLDER.parent / "docs" / "images" / "emoji.png"
MODALITIES = ("picture", "name", "keywords")
LATENT_SIZE = 64
ENCODED_AT_ONCE = 16  # pictures: more need memory, and are no faster on a CPU


# -- the network: what a user has --------------------------------------------------------------


class CountedEncoder(Lite0Encoder):
    """The picture encoder, and how many pictures have passed through it."""

    passed = 0

    def forward(self, pictures: Tensor) -> Tensor:
        CountedEncoder.passed += len(pictures)
        return super().forward(pictures).mean((2, 3))


class PictureLatent(nn.Module):
    """Pooled features of a picture to a small latent vector."""

    def __init__(self, dropout: float = 0.5):
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(CountedEncoder.channels),
            nn.Dropout(dropout),
            nn.Linear(CountedEncoder.channels, LATENT_SIZE),
            nn.LayerNorm(LATENT_SIZE),
        )

    def forward(self, features: Tensor) -> Tensor:
        return self.layers(features)


class TextLatent(nn.Module):
    """Tokens of a text, weighted by attention that passes over padding, to a latent vector."""

    def __init__(self, dropout: float = 0.5):
        super().__init__()
        size = WordLlamaEncoder.channels
        self.norm, self.dropout = nn.LayerNorm(size), nn.Dropout(dropout)
        self.attention = nn.Linear(size, 1)
        self.out = nn.Sequential(nn.Linear(size, LATENT_SIZE), nn.LayerNorm(LATENT_SIZE))

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        tokens = self.dropout(self.norm(tokens))  # (B, L, 256)
        scores = self.attention(tokens).masked_fill(mask.unsqueeze(-1) == 0, -1e9)  # (B, L, 1)
        return self.out((scores.softmax(1) * tokens).sum(1))


class Trunk(nn.Module):
    """What is trained: latents of the modalities, their fusion, and a linear classifier."""

    def __init__(self, modalities=MODALITIES, num_classes: int = 8, width: int = 128):
        super().__init__()
        self.modalities = tuple(modalities)
        for name in self.modalities:
            self.add_module(name, PictureLatent() if name == "picture" else TextLatent())
        self.fusion = fusion(len(self.modalities), width)
        self.classifier = nn.Linear(width, num_classes)

    def forward(self, seen: Mapping[str, tuple[Tensor, ...]]) -> Tensor:
        latents = [getattr(self, name)(*seen[name]) for name in self.modalities]
        return self.classifier(self.fusion(torch.cat(latents, -1)))


class EmojiNet(nn.Module):
    """Pictures and token numbers in, logits of the groups out."""

    def __init__(self, pictures: nn.Module, words: nn.Module, trunk: nn.Module):
        super().__init__()
        self.pictures, self.words, self.trunk = pictures, words, trunk

    def forward(self, picture: Tensor, name: dict, keywords: dict) -> Tensor:
        texts = read(self.words, {"name": name, "keywords": keywords})
        return self.trunk({"picture": (self.pictures(picture),), **texts})


def fusion(num_latents: int, width: int = 128, dropout: float = 0.5) -> nn.Sequential:
    return nn.Sequential(
        nn.Dropout(dropout),
        nn.Linear(num_latents * LATENT_SIZE, width),
        nn.GELU(),
        nn.Dropout(dropout),
        nn.Linear(width, width),
        nn.GELU(),
        nn.Dropout(dropout),
    )


def read(words: nn.Module, texts: Mapping[str, dict]) -> dict[str, tuple[Tensor, Tensor]]:
    """Embedded tokens and their mask."""
    return {n: (words(t["input_ids"]), t["attention_mask"]) for n, t in texts.items()}


def train(
    net: nn.Module,
    arguments: Callable[[sp.Batch], Any],
    rows: sp.Batch,
    validation: sp.Batch,
    seed: int,
    epochs: int,
) -> nn.Module:
    """Train a classifier, keep the epoch with the best validation loss, and freeze it."""
    torch.manual_seed(seed)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    best, kept = float("inf"), net.state_dict()
    for _ in range(epochs):
        net.train()
        for some in torch.randperm(len(rows)).split(64):
            optimizer.zero_grad()
            F.cross_entropy(net(arguments(rows[some])), rows.target[some]).backward()
            optimizer.step()
        schedule.step()
        net.eval()
        with torch.no_grad():
            loss = F.cross_entropy(net(arguments(validation)), validation.target).item()
        if loss < best:
            best, kept = loss, {k: v.clone() for k, v in net.state_dict().items()}
    net.load_state_dict(kept)
    return net.eval().requires_grad_(False)


# -- the data ----------------------------------------------------------------------------------


def load(path: Path) -> sp.Batch:
    """Raw pictures and token numbers; an empty text is an absent one."""
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    tokenizer = WordLlamaTokenizer()
    return sp.from_arrays(
        {
            "picture": arrays["image"],
            "name": tokenizer(arrays["name"]),
            "keywords": tokenizer(arrays["tags"]),
        },
        arrays["y"],
        group=arrays["group"],
        test=arrays["split"] == 1,
        class_names=[str(name) for name in arrays["class_names"]],
    )


def split(data: sp.Batch, seed: int) -> tuple[sp.Batch, sp.Batch, sp.Batch]:
    """Training and validation rows, families kept together; the test rows are always the same."""
    return (*data[~data.test].split((0.8, 0.2), seed=seed), data[data.test])


def with_features(rows: sp.Batch, pictures: nn.Module) -> sp.Batch:
    """The same rows with what the frozen encoder says of each picture in its place.

    To train the trunk: its every epoch would ask the encoder the same again.
    """
    with torch.no_grad():
        parts = [pictures(part) for part in rows.features["picture"].split(ENCODED_AT_ONCE)]
    return rows.replace(features={**rows.features, "picture": torch.cat(parts)})


def latents_of(model: sp.SURE, rows: sp.Batch) -> sp.Batch:
    """Rows as latents, encoded once, for whatever looks at them under many masks."""
    latents = model.encode(rows)
    return sp.Batch(
        model.space.unstandardize(latents.values, latents.padding),
        rows.available,
        rows.target,
        rows.group,
        class_names=rows.class_names,
        encoded=True,
    )


# -- one seed ----------------------------------------------------------------------------------


class Steps(dict):
    """Wall time, processor time and rows through the picture encoder, step by step."""

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        wall, cpu, passed = time.perf_counter(), time.process_time(), CountedEncoder.passed
        yield
        self[name] = {
            "seconds": time.perf_counter() - wall,
            "cpu_seconds": time.process_time() - cpu,
            "pictures_encoded": CountedEncoder.passed - passed,
        }


def fitted(
    net: nn.Module, train: sp.Batch, validation: sp.Batch, seed: int, options: Mapping
) -> sp.SURE:
    """The network, cut where its latents are, and SURE on it."""
    backbone = sp.Backbone.wrap(
        net,
        latents={name: f"trunk.{name}" for name in MODALITIES},
        readout="trunk.classifier",
        batch_size=ENCODED_AT_ONCE,
    )
    model, objective = sp.SURE(backbone), "faithful:elbo+pcc"
    sp.fit(model, train, validation, objective, seed=seed, progress_bar=False, **options)
    return model


def run(data: sp.Batch, seen: sp.Batch, encoders: tuple, seed: int, small: bool) -> dict:
    """Train, cut, fit, take away, calibrate; `seen` holds the rows of `data` as the trunk trains.

    Returns
    -------
    dict
        ``right`` (by method, for every masked row), ``summary`` and ``steps``.
    """
    steps, epochs = Steps(), 3 if small else 60
    parts, parts_seen = split(data, seed), split(seen, seed)
    pictures, words = encoders

    def arguments(rows: sp.Batch) -> dict:
        texts = {name: rows.features[name] for name in MODALITIES[1:]}
        return {"picture": (rows.features["picture"],), **read(words, texts)}

    with steps.step("train the network"), fresh(seed):
        complete = [rows.complete() for rows in parts_seen[:2]]
        trunk = train(Trunk(), arguments, *complete, seed, epochs)
    net = EmojiNet(pictures, words, trunk)

    with steps.step("fit SURE"):
        model = fitted(net, parts[0], parts[1], seed, {"epochs": 3} if small else {})
    with steps.step("encode the validation and the test part"):
        validation, test = (latents_of(model, rows) for rows in parts[1:])
    masked = every_mask(test)
    with steps.step("predict under every mask, by Taylor"):
        prediction = model.predict(masked.batch)
    p = {fill: model.pretrained(masked.batch, fill).softmax(-1) for fill in ("zero", "mean")}
    p["SURE"] = prediction.probabilities["taylor"]
    with steps.step("fit the classifiers of each mask"), fresh(seed):
        latents = (latents_of(model, parts[0]), validation, test)
        p["ceiling"] = ceiling(own_trunk, parts_seen, arguments, masked, seed, epochs)
        p["same latents"] = ceiling(own_fusion, latents, joined, masked, seed, epochs)
    with steps.step("recalibrate and conformal sets"):
        calibrated = sp.recalibrate(model, validation)
        sets = sp.conformal(calibrated, validation)
        intervals = sp.conformal_latents(calibrated, validation)
    after = calibrated.predict(masked.batch)
    p["SURE, recalibrated"] = after.probabilities["taylor"]
    with steps.step("predict the test part by sampling, 1,000 draws"):
        sampled = model.predict(sp.missing.hide_exactly(parts[2], 1, seed=seed), "sampling")
    assert bool(sampled.mean.isfinite().all())

    latent = latent_quality(model, masked, prediction, after, intervals.predict(after))
    return {
        "seed": seed,
        "rows": [len(rows) for rows in parts],
        "scores": scores(p, masked),
        "latents": latent,
        "sets": coverage_of_sets(sets.predict(after), masked),
        "steps": steps,
        "right": {n: (x.argmax(-1) == masked.batch.target).int().tolist() for n, x in p.items()},
    }


@contextmanager
def fresh(seed: int) -> Iterator[None]:
    """Initial weights by the seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


# -- the ceiling: a classifier for each mask alone ---------------------------------------------


def own_trunk(visible: tuple[str, ...]) -> nn.Module:
    """Latents of its own, trained for what is visible alone."""
    return Trunk(visible)


def own_fusion(visible: tuple[str, ...]) -> nn.Module:
    """Fusion and classifier on the network's frozen latents."""
    return nn.Sequential(fusion(len(visible)), nn.Linear(128, 8))


def joined(latents: sp.Batch) -> Tensor:
    names = [n for i, n in enumerate(latents.modalities) if bool(latents.available[:, i].all())]
    return torch.cat([latents.features[n] for n in names], -1)


def ceiling(make, parts, arguments, masked, seed: int, epochs: int) -> Tensor:
    """Class probabilities of the masked rows by classifiers that know only one mask each."""
    p = torch.zeros(len(masked.batch), 8)
    pattern = masked.pattern
    for name in np.unique(pattern):
        visible = tuple(name.split("+"))
        own = [only(rows, visible) for rows in parts[:2]]
        net = train(make(visible), arguments, *own, seed, epochs)
        rows = np.flatnonzero(pattern == name)
        shown = only(parts[2][masked.row[rows]], visible)
        with torch.no_grad():
            p[rows] = net(arguments(shown)).softmax(-1)
    return p


def only(rows: sp.Batch, visible: tuple[str, ...]) -> sp.Batch:
    """Rows that have all of `visible`, and nothing else of them."""
    keep = torch.tensor([name in visible for name in rows.modalities])
    rows = rows[(rows.available | ~keep).all(1)]
    return rows.restrict(keep.expand(len(rows), -1))


# -- what is measured --------------------------------------------------------------------------


def scores(p: Mapping[str, Tensor], masked) -> dict:
    """Accuracy and mean negative log-likelihood by mask and method."""
    y, found = masked.batch.target, {}
    for name in np.unique(masked.pattern):
        rows = torch.from_numpy(masked.pattern == name)
        found[str(name)] = {
            method: {
                "accuracy": (x[rows].argmax(-1) == y[rows]).float().mean().item(),
                "nll": F.nll_loss(x[rows].clamp_min(1e-12).log(), y[rows]).item(),
            }
            for method, x in p.items()
        } | {"rows": int(rows.sum())}
    return found


def latent_quality(model, masked, before, after, intervals) -> list[dict]:
    """Predicted over actual variance, and coverage of 90 % intervals, by mask and modality."""
    lines = []
    hidden = {
        when: hidden_latents(model, masked, said.reconstruction)
        for when, said in (("before", before), ("after", after))
    }
    for name in MODALITIES:
        where, pattern = hidden["after"][name].where, masked.pattern
        bounds = intervals[name].lower[where, 0], intervals[name].upper[where, 0]
        inside = (bounds[0] <= hidden["after"][name].truth) & (
            hidden["after"][name].truth <= bounds[1]
        )
        for mask in np.unique(pattern[where]):
            rows = pattern[where] == mask
            line = {"mask": str(mask), "modality": name, "rows": int(rows.sum())}
            for when, found in hidden.items():
                h = found[name]
                error, sigma = (h.truth - h.loc)[rows], h.sigma[rows]
                line[f"predicted_over_observed_{when}"] = float(
                    np.square(sigma).mean() / np.square(error).mean()
                )
                line[f"normal_90_{when}"] = float((np.abs(error) <= 1.6449 * sigma).mean())
                line[f"mse_{when}"] = float(np.square(error).mean())
            lines.append({**line, "conformal_90": float(inside[rows].mean())})
    return lines


def coverage_of_sets(sets, masked) -> dict:
    """Coverage and mean size of 90 % sets of classes, by mask."""
    covered = sets.contains[np.arange(len(sets.contains)), masked.batch.target.numpy()]
    return {
        str(name): {"coverage": float(covered[rows].mean()), "size": float(sets.size[rows].mean())}
        for name in np.unique(masked.pattern)
        for rows in [masked.pattern == name]
    }


# -- all seeds ---------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="emoji.npz")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--small", action="store_true", help="few rows and epochs, nothing written")
    options = parser.parse_args()

    torch.set_num_threads(1)
    steps, data = Steps(), load(options.data)
    data = data[::8] if options.small else data
    encoders = CountedEncoder(size=160), WordLlamaEncoder()
    with steps.step("encode all pictures once, to train the network"):
        seen = with_features(data, encoders[0])
    seeds = range(1 if options.small else options.seeds)
    runs = [run(data, seen, encoders, seed, options.small) for seed in tqdm(seeds, "seeds")]
    masked = every_mask(data[data.test])
    found = {
        "rows": len(data),
        "unit": masked.unit.tolist(),
        "hides": (masked.hidden > 0).tolist(),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "torch": torch.__version__,
        "steps": steps,
        "seeds": runs,
    }
    print(tables(found))
    if not options.small:
        write_text(RESULTS, json.dumps(found))
        draw(found, PICTURE)


if __name__ == "__main__":
    main()
