"""``python -m sure_pyro compare``: many uncertainty models side by side, in one table."""

from __future__ import annotations

import argparse
from pathlib import Path

from sure_pyro.commands.arguments import names, positive
from sure_pyro.comparison import compare, save_comparison

MODELS = "sure,elbo,elbo+pcc"


def add_compare(commands) -> None:
    """Add the command to the parser."""
    p = commands.add_parser("compare", help="fit several uncertainty models and compare them")
    p.add_argument(
        "--data",
        type=names,
        default="digits",
        help="embedded datasets or .npz files, separated by commas (default: digits)",
    )
    p.add_argument(
        "--models",
        type=names,
        default=MODELS,
        help="objectives (elbo+pcc), guides (laplace), both (elbo/laplace), zero, mean; "
        f"separated by commas (default: {MODELS})",
    )
    p.add_argument("--seeds", type=positive, default=3, help="how many: 0, 1, ... (default: 3)")
    p.add_argument("--reference", help="model that differences are taken from (default: the first)")
    p.add_argument(
        "--out",
        type=Path,
        default=Path("comparison"),
        help="folder of results and finished cells, which are not fitted again",
    )
    p.add_argument("--workers", type=positive, default=2, help="parallel processes (default: 2)")
    p.add_argument("--epochs", type=positive, help="of each phase, instead of the defaults")
    p.add_argument("--quiet", action="store_true", help="no progress bar, no text")
    p.set_defaults(run=run_compare)


def run_compare(options: argparse.Namespace) -> int:
    """Run it; 1 if a cell failed."""
    epochs = {} if options.epochs is None else {"epochs": options.epochs}
    data = {Path(given).stem: given for given in options.data}
    result = compare(
        list(options.models),
        data,
        seeds=options.seeds,
        reference=options.reference,
        out=options.out,
        workers=options.workers,
        fit=epochs,
        pretraining=epochs,
        progress_bar=not options.quiet,
    )
    save_comparison(result, options.out, {"command": options.command_line})
    if result.interrupted:
        raise KeyboardInterrupt(f"What is finished is in {options.out}; run it again to go on.")
    if not options.quiet:
        print(f"\n{result}\n\nThe table and the picture are in {options.out / 'index.html'}.")
    return 1 if result.failures else 0
