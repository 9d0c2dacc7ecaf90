"""``sure-pyro predict``: a table of predictions with the variance by source."""

from __future__ import annotations

import argparse
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from sure_pyro.calibrated import CalibratedSURE
from sure_pyro.commands.arguments import names, positive
from sure_pyro.commands.calibrate import ROADS
from sure_pyro.commands.pooled import pooled
from sure_pyro.commands.run_folder import PARTS, RunFolder, add_run
from sure_pyro.data import Batch, missing
from sure_pyro.data.store import LatentStore
from sure_pyro.files import replacing
from sure_pyro.models import SURE, Prediction
from sure_pyro.propagation import cross_check

BLOCK = 256  # rows in memory at a time


def add_predict(commands) -> None:
    """Add the command to the parser."""
    p = commands.add_parser(
        "predict", allow_abbrev=False, help="write predictions with the variance by source"
    )
    add_run(p)
    p.add_argument("--part", choices=PARTS, default="test", help="of the rows (default: test)")
    p.add_argument(
        "--propagate", choices=ROADS, default="taylor",
        help="how reconstruction variance reaches the output (default: taylor)",
    )  # fmt: skip
    p.add_argument("--num-samples", type=positive, default=200, help="draws (default: 200)")
    p.add_argument("--seed", type=int, default=0, help="of the draws (default: 0)")
    p.add_argument(
        "--hide", type=names, default=(),
        help="modalities to take away, separated by commas, even from rows that have no other",
    )  # fmt: skip
    p.set_defaults(run=run_predict, all_threads=True)


def run_predict(options: argparse.Namespace) -> int:
    """Run it."""
    folder = RunFolder(options.folder)
    model = folder.load_model()
    _check(model, options)
    rows = folder.part(options.part, folder.seed)
    ids = np.array(json.loads(folder.ids_file.read_text(encoding="utf-8")), dtype=object)
    frames, moments = [], []
    blocks = _blocks(rows, options.hide)
    count = -(-len(rows) // BLOCK)
    for start, block, batch in tqdm(blocks, "predict", count, disable=options.quiet):
        prediction = model.predict(
            batch, options.propagate, num_samples=options.num_samples, seed=options.seed + start
        )
        frames.append(_table(prediction, batch, block.source.numpy(), ids))
        moments.append(prediction.moments)
    folder.record("predict", options)
    file = _write(pd.concat(frames, ignore_index=True), folder.folder)
    if not options.quiet:
        if options.propagate == "both":
            taylor, sampled = (
                pooled([m[road] for m in moments]) for road in ("taylor", "sampling")
            )
            print(cross_check(taylor, sampled).summary())
        print(f"Predictions of {len(rows)} rows are in {file}.")
    return 0


def _check(model: SURE, options: argparse.Namespace) -> None:
    unknown = [name for name in options.hide if name not in model.backbone.modalities]
    if unknown or len(options.hide) == len(model.backbone.modalities):
        raise ValueError(
            f"`--hide` must be some, not all, of {', '.join(model.backbone.modalities)}; "
            f"got {','.join(options.hide)}."
        )
    wanted = {"both": {"taylor", "sampling"}}.get(options.propagate, {options.propagate})
    if isinstance(model, CalibratedSURE) and not wanted <= set(model.calibration.output):
        raise ValueError(
            f"The model was not calibrated for this road: run `sure-pyro calibrate "
            f"{options.folder} --propagate {options.propagate}` first."
        )


def _blocks(rows: LatentStore, hide: tuple[str, ...]) -> Iterator[tuple[int, LatentStore, Batch]]:
    """Some rows at a time, in the order of the dataset, without what is to be hidden."""
    rows = rows.select(rows.source.argsort())
    for start in range(0, len(rows), BLOCK):
        block = rows.select(torch.arange(start, min(start + BLOCK, len(rows))))
        batch = block.batch()
        if hide:
            keep = [name for name in batch.modalities if name not in hide]
            batch = missing.pattern(batch, keep, keep_one=False)
        yield start, block, batch


def _table(
    prediction: Prediction, batch: Batch, source: np.ndarray, ids: np.ndarray
) -> pd.DataFrame:
    """A line per row and output; every modality has its column, whatever this block lacks."""
    C = len(prediction.outputs)
    table = prediction.to_dataframe().drop(columns="sample")
    table.insert(0, "row", np.repeat(source, C))
    table.insert(1, "id", np.repeat(ids[source], C))
    place = table.columns.get_loc("sd") + 1
    for i, name in enumerate(batch.modalities):
        column = f"variance/{name}"
        values = table.pop(column) if column in table else np.zeros(len(table), np.float32)
        table.insert(place + i, column, values)
    return table.assign(target=_target(batch, C))


def _target(batch: Batch, C: int) -> np.ndarray:
    """Target of each output: the value, or 1 at the row's class or labels and else 0."""
    y = batch.target
    assert y is not None  # the datasets of the systems have targets
    if batch.task == "classification":
        y = torch.nn.functional.one_hot(y, C)
    return y.reshape(-1).numpy()


def _write(table: pd.DataFrame, folder: Path) -> Path:
    """Parquet if pyarrow is installed, else CSV."""
    parquet = importlib.util.find_spec("pyarrow") is not None
    file = folder / ("predictions.parquet" if parquet else "predictions.csv")
    with replacing(file) as temporary:
        if parquet:
            table.to_parquet(temporary, engine="pyarrow", index=False)
        else:
            table.to_csv(temporary, index=False)
    return file
