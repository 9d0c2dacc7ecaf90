"""``python -m sure_pyro demo``: fit SURE on a dataset and write a report."""

from __future__ import annotations

import argparse
from pathlib import Path

from sure_pyro.commands.arguments import names, positive
from sure_pyro.report import Settings, demo
from sure_pyro.report.study import OBJECTIVES


def add_demo(commands) -> None:
    """Add the command to the parser."""
    p = commands.add_parser("demo", help="fit SURE on a dataset and write a report")
    p.add_argument("--data", type=Path, help="an .npz file in the canonical form (default: digits)")
    p.add_argument("--out", type=Path, default=Path("report"), help="folder of the report")
    p.add_argument("--seed", type=int, default=0, help="of split, weights, masks and draws")
    p.add_argument("--epochs", type=positive, help="of each phase, instead of the defaults")
    p.add_argument(
        "--objectives",
        type=_objectives,
        default=",".join(OBJECTIVES),
        help="which to compare; the report is on elbo+pcc, or on the last",
    )
    p.add_argument("--quiet", action="store_true", help="no progress bars, no text")
    p.set_defaults(run=run_demo)


def run_demo(options: argparse.Namespace) -> int:
    """Run it."""
    settings = Settings(
        options.data, options.seed, options.epochs, options.objectives, quiet=options.quiet
    )
    text = demo(settings, options.out, options.command_line)
    if not options.quiet:
        print(f"\n{text}\n\nThe report is in {options.out / 'index.html'}.")
    return 0


def _objectives(text: str) -> tuple[str, ...]:
    found = names(text)
    unknown = [name for name in found if name not in OBJECTIVES]
    if unknown or not found:
        raise argparse.ArgumentTypeError(f"must be some of {','.join(OBJECTIVES)}; got {text!r}")
    return found
