"""``sure-pyro fit``: train reconstructors and head on the latents of a run folder."""

from __future__ import annotations

import argparse
import filecmp
import shutil

from sure_pyro.commands.arguments import positive
from sure_pyro.commands.run_folder import RunFolder, add_run
from sure_pyro.files import replacing
from sure_pyro.models import SURE
from sure_pyro.training import fit


def add_fit(commands) -> None:
    """Add the command to the parser."""
    p = commands.add_parser("fit", allow_abbrev=False, help="fit both phases on the encoded rows")
    add_run(p)
    p.add_argument("--objective", default="elbo+pcc", help="see sure_pyro.fit (elbo+pcc)")
    p.add_argument("--epochs", type=positive, help="of each phase, instead of the defaults")
    p.add_argument("--batch-size", type=positive, help="instead of the defaults")
    p.add_argument("--lr", type=float, help="learning rate, instead of the defaults")
    p.add_argument("--seed", type=int, default=0, help="of parts, weights, masks (default: 0)")
    p.set_defaults(run=run_fit, all_threads=True)


def run_fit(options: argparse.Namespace) -> int:
    """Run it, or go on where it was stopped."""
    folder = RunFolder(options.folder)
    backbone = folder.load_backbone()
    train, validation = (folder.part(name, options.seed) for name in ("train", "validation"))
    model = SURE(backbone)
    history = fit(
        model,
        train,
        validation,
        options.objective,
        seed=options.seed,
        epochs=options.epochs,
        batch_size=options.batch_size,
        lr=options.lr,
        checkpoint=folder.checkpoint,
        resume=True,
        progress_bar=not options.quiet,
    )
    if history.interrupted:
        raise KeyboardInterrupt("Run it again to go on.")
    folder.record("fit", options)
    model.save(folder.model)
    _drop_calibration_of_other_weights(folder)
    with replacing(folder.history) as file:
        history.to_dataframe().to_csv(file, index=False)
    if not options.quiet:
        print(f"{history}\nThe model is in {folder.model}.")
    return 0


def _drop_calibration_of_other_weights(folder: RunFolder) -> None:
    new, calibrated = (f / "weights.safetensors" for f in (folder.model, folder.calibrated))
    if not (calibrated.is_file() and filecmp.cmp(new, calibrated, shallow=False)):
        shutil.rmtree(folder.calibrated, ignore_errors=True)
