"""The command line: ``sure-pyro``, or ``python -m sure_pyro``, and a command.

``encode``, ``fit``, ``calibrate`` and ``predict`` take a dataset to a table of predictions;
``demo`` and ``compare`` write reports.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

import torch
from safetensors import SafetensorError

from sure_pyro.commands.calibrate import add_calibrate
from sure_pyro.commands.compare import add_compare
from sure_pyro.commands.demo import add_demo
from sure_pyro.commands.encode import add_encode
from sure_pyro.commands.fit import add_fit
from sure_pyro.commands.predict import add_predict
from sure_pyro.commands.settings import with_settings
from sure_pyro.data.formats import DatasetError
from sure_pyro.training import TrainingDiverged

EXPECTED = (ValueError, TypeError, OSError, ImportError, SafetensorError, TrainingDiverged)

ORDER = """\
From a dataset to predictions, in one folder RUN, each command going on from the one before:
  encode RUN     run the frozen encoders over the dataset, once
  fit RUN        train reconstructors and head on what they gave
  calibrate RUN  make variances and probabilities right, on the validation part (optional)
  predict RUN    write a table of predictions with the variance by source
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit status: 0 right, 1 in part, 2 wrong input, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        options = parser().parse_args(with_settings(arguments))
        options.command_line = shlex.join(["python", "-m", "sure_pyro", *arguments])
        with nullcontext() if getattr(options, "all_threads", False) else one_thread():
            return options.run(options)
    except KeyboardInterrupt as stopped:
        print(f"Interrupted. {stopped}".strip(), file=sys.stderr)
        return 130
    except EXPECTED as error:
        # The error of a dataset is a list, and stays one; of others a line is enough.
        text = str(error) if isinstance(error, DatasetError) else " ".join(str(error).split())
        print(f"sure-pyro: {text}", file=sys.stderr)
        return 2


def parser() -> argparse.ArgumentParser:
    """Build the parser: one subcommand for each function that adds one."""
    top = argparse.ArgumentParser(
        prog="sure-pyro",
        description=ORDER,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(title="commands", required=True, metavar="command")
    for add in (add_encode, add_fit, add_calibrate, add_predict, add_demo, add_compare):
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
