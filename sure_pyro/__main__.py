"""The command line: ``python -m sure_pyro demo`` and ``compare``."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from sure_pyro.commands.compare import add_compare
from sure_pyro.commands.demo import add_demo


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit status: 0 right, 1 in part, 2 wrong input, 130 interrupted."""
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
    for add in (add_demo, add_compare):
        add(commands)
    return top


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


if __name__ == "__main__":
    sys.exit(main())
