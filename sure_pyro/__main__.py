"""The command line: ``python -m sure_pyro demo``."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from sure_pyro.report import OBJECTIVES, Settings, demo


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status (0 right, 2 wrong input, 130 interrupted)."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    options = parser().parse_args(arguments)
    options.command_line = shlex.join(["python", "-m", "sure_pyro", *arguments])
    try:
        with one_thread():
            return options.run(options)
    except KeyboardInterrupt as stopped:
        print(f"Interrupted. {stopped}".strip(), file=sys.stderr)
        return 130
    except (ValueError, TypeError, OSError) as error:
        print(f"sure-pyro: {error}", file=sys.stderr)
        return 2


def parser() -> argparse.ArgumentParser:
    """Build the parser: one subcommand for each function that adds one."""
    top = argparse.ArgumentParser(
        prog="sure-pyro", description="SURE as a probabilistic program: commands."
    )
    commands = top.add_subparsers(title="commands", required=True, metavar="command")
    for add in (add_demo,):
        add(commands)
    return top


def add_demo(commands) -> None:
    """Add ``demo``: fit SURE on a dataset and write a report."""
    p = commands.add_parser("demo", help="fit SURE on a dataset and write a report")
    p.add_argument("--data", type=Path, help="an .npz file in the canonical form (default: digits)")
    p.add_argument("--out", type=Path, default=Path("report"), help="folder of the report")
    p.add_argument("--seed", type=int, default=0, help="of split, weights, masks and draws")
    p.add_argument("--epochs", type=_positive, help="of each phase, instead of the defaults")
    p.add_argument(
        "--objectives", type=_objectives, default=",".join(OBJECTIVES),
        help="which to compare; the report is on elbo+pcc, or on the last",
    )  # fmt: skip
    p.add_argument("--quiet", action="store_true", help="no progress bars, no text")
    p.set_defaults(run=run_demo)


def run_demo(options: argparse.Namespace) -> int:
    """Run ``demo``."""
    settings = Settings(
        options.data, options.seed, options.epochs, options.objectives, quiet=options.quiet
    )
    text = demo(settings, options.out, options.command_line)
    if not options.quiet:
        print(f"\n{text}\n\nThe report is in {options.out / 'index.html'}.")
    return 0


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread for a while.

    The networks of a report are small: more threads win nothing, and wait for each other at length
    where other programs want the same cores.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1; got {number}")
    return number


def _objectives(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    unknown = [name for name in names if name not in OBJECTIVES]
    if unknown or not names:
        raise argparse.ArgumentTypeError(f"must be some of {','.join(OBJECTIVES)}; got {text!r}")
    return names


if __name__ == "__main__":
    sys.exit(main())
