"""``sure-pyro predict``: a table of predictions with the variance by source."""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from sure_pyro.calibration import CalibratedSURE
from sure_pyro.commands.arguments import names, positive
from sure_pyro.commands.calibrate import METHODS
from sure_pyro.commands.parts import Parts
from sure_pyro.commands.run_folder import PARTS, RunFolder, add_run, as_settings
from sure_pyro.commands.tables import FORMATS, check_format
from sure_pyro.data import Batch, missing
from sure_pyro.data.store import LatentStore
from sure_pyro.data.store.manifest import FILE
from sure_pyro.data.store.shard import checksum
from sure_pyro.models import SURE, Prediction
from sure_pyro.propagation import cross_check
from sure_pyro.propagation.moments import INTERACTION

BLOCK = 256  # rows in memory at a time


def add_predict(commands) -> None:
    """Add the command to the parser."""
    p = commands.add_parser(
        "predict", allow_abbrev=False, help="write predictions with the variance by source"
    )
    add_run(p)
    p.add_argument("--part", choices=PARTS, default="test", help="of the rows (default: test)")
    p.add_argument(
        "--propagate",
        choices=METHODS,
        default="taylor",
        help="how reconstruction variance reaches the output (default: taylor)",
    )
    p.add_argument("--num-samples", type=positive, default=200, help="draws (default: 200)")
    p.add_argument("--seed", type=int, default=0, help="of the draws (default: 0)")
    p.add_argument(
        "--hide",
        type=names,
        default=(),
        help="modalities to take away, separated by commas, even from rows that have no other",
    )
    p.add_argument(
        "--format",
        choices=FORMATS,
        default="csv",
        help="of the table (default: csv); parquet needs the extra `parquet`",
    )
    p.set_defaults(run=run_predict, all_threads=True)


def run_predict(options: argparse.Namespace) -> int:
    """Run it, or go on where it was stopped."""
    check_format(options.format)
    folder = RunFolder(options.folder)
    model = folder.load_model()
    _check(model, options)
    rows = folder.part(options.part, folder.seed)
    file = folder.folder / f"predictions.{options.format}"
    parts = Parts(folder.parts, _made_from(folder, options), file.suffix)
    count = -(-len(rows) // BLOCK)
    try:
        _predict_blocks(model, rows, _ids(folder), parts, options)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("Run it again to go on.") from None
    folder.record("predict", options)
    parts.join(count, file)
    if not options.quiet:
        if options.propagate == "both":
            methods = (parts.moments(count, method) for method in ("taylor", "sampling"))
            print(cross_check(*methods).summary())
        print(f"Predictions of {len(rows)} rows are in {file}.")
    parts.remove()
    return 0


def _predict_blocks(
    model: SURE, rows: LatentStore, ids: np.ndarray, parts: Parts, options: argparse.Namespace
) -> None:
    """Predict the blocks that are not done yet, in the order of the dataset."""
    rows = rows.select(rows.source.argsort())
    starts = range(0, len(rows), BLOCK)
    for i, start in enumerate(tqdm(starts, "predict", unit="block", disable=options.quiet)):
        if i not in parts:
            block = rows.select(torch.arange(start, min(start + BLOCK, len(rows))))
            batch = _hidden(block.batch(), options.hide)
            prediction = model.predict(
                batch, options.propagate, num_samples=options.num_samples, seed=options.seed + start
            )
            moments = prediction.moments if options.propagate == "both" else {}
            parts.write(i, _table(prediction, batch, block.source.numpy(), ids), moments)


def _ids(folder: RunFolder) -> np.ndarray:
    return np.array(json.loads(folder.ids_file.read_text(encoding="utf-8")), dtype=object)


def _made_from(folder: RunFolder, options: argparse.Namespace) -> dict[str, Any]:
    """What the numbers depend on: options, latents, the model's files, and how it was cut."""
    where = folder.calibrated if folder.calibrated.is_dir() else folder.model
    files = sorted(path for path in where.rglob("*") if path.is_file())
    digests = {str(path.relative_to(folder.folder)): checksum(path) for path in files}
    digests |= {"store": checksum(folder.store / FILE)}
    return {"options": as_settings(options), "block": BLOCK, "seed": folder.seed, "files": digests}


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
            f"The model was not calibrated for this method: run `sure-pyro calibrate "
            f"{options.folder} --propagate {options.propagate}` first."
        )


def _hidden(batch: Batch, hide: tuple[str, ...]) -> Batch:
    """The rows without what is to be hidden."""
    if not hide:
        return batch
    keep = [name for name in batch.modalities if name not in hide]
    return missing.pattern(batch, keep, keep_one=False)


def _table(
    prediction: Prediction, batch: Batch, source: np.ndarray, ids: np.ndarray
) -> pd.DataFrame:
    """A line per row and output; the columns are those of every other block."""
    C = len(prediction.outputs)
    table = prediction.to_dataframe().drop(columns="sample")
    table.insert(0, "row", np.repeat(source, C))
    table.insert(1, "id", np.repeat(ids[source], C))
    place = table.columns.get_loc("sd") + 1
    remainder = (INTERACTION,) if prediction.methods[0] == "sampling" else ()
    for i, name in enumerate((*batch.modalities, *remainder)):
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
