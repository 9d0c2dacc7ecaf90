"""``sure-pyro calibrate``: make a fitted model's variances and probabilities right."""

from __future__ import annotations

import argparse

from sure_pyro.calibration import recalibrate
from sure_pyro.commands.arguments import positive
from sure_pyro.commands.run_folder import RunFolder, add_run

METHODS = ("taylor", "sampling", "both", "none")


def add_calibrate(commands) -> None:
    """Add the command to the parser."""
    p = commands.add_parser(
        "calibrate", allow_abbrev=False, help="calibrate the fitted model on the validation rows"
    )
    add_run(p)
    p.add_argument(
        "--propagate",
        choices=METHODS,
        default="taylor",
        help="methods that predictions shall take (default: taylor)",
    )
    p.add_argument("--num-samples", type=positive, default=200, help="draws (default: 200)")
    p.add_argument("--seed", type=int, default=0, help="of draws and masks (default: 0)")
    p.set_defaults(run=run_calibrate, all_threads=True)


def run_calibrate(options: argparse.Namespace) -> int:
    """Run it."""
    folder = RunFolder(options.folder)
    model = folder.load_fitted()
    calibrated = recalibrate(
        model,
        folder.part("validation", folder.seed),
        propagate=options.propagate,
        num_samples=options.num_samples,
        seed=options.seed,
    )
    folder.record("calibrate", options)
    calibrated.save(folder.calibrated)
    if not options.quiet:
        print(f"Calibrated on {calibrated.calibration.rows} rows; see {folder.calibrated}.")
    return 0
