"""Motion sensors as a modality: tables of three axes, cut into windows."""

from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch

from sure_pyro.data.formats.errors import UnreadableError, printable
from sure_pyro.data.formats.folder import MB, Folder
from sure_pyro.data.formats.lines import read_lines, real_number
from sure_pyro.data.formats.modality import Features, Modality, Tokenizer

SENSOR_LIMIT = 50 * MB  # hours at 100 Hz


class Windows(Modality):
    """Windows ``(S, window, 3)`` of x, y and z.

    Parameters
    ----------
    folder : Folder
    window, stride : int
        Samples of a window, and from the start of one to the start of the next.
    windows : int
        S: longer recordings are cut, shorter ones are filled up and have padding.

    Notes
    -----
    Only the lines that S windows need are read, so memory does not follow from the file.
    """

    def __init__(self, folder: Folder, window: int, stride: int, windows: int):
        if not (0 < stride <= 1000 and 0 < window <= 1000 and 0 < windows <= 10_000):
            raise ValueError(
                "`window`, `stride` (at most 1000) and `windows` (at most 10000) must be positive; "
                f"got {window}, {stride} and {windows}."
            )
        self.folder, self.window, self.stride, self.windows = folder, window, stride, windows

    def load(self, source: str) -> np.ndarray | None:
        """Windows ``(at most S, window, 3)``, float32; None if the file holds only blanks."""
        try:
            xyz = self._samples(source)
        except UnreadableError as error:
            raise UnreadableError(f"{printable(source)}: {error}") from error
        if len(xyz) == 0:
            return None
        starts = range(0, len(xyz) - self.window + 1, self.stride)
        return np.stack([xyz[start : start + self.window] for start in starts])

    def together(self, values: Sequence[Any], tokenizer: Tokenizer | None = None) -> Features:
        """Windows ``(B, S, window, 3)``, and which of them exist."""
        filled = np.zeros((len(values), self.windows, self.window, 3), np.float32)
        exists = np.ones((len(values), self.windows), bool)
        for i, x in enumerate(values):
            if x is not None:
                filled[i, : len(x)] = x
                exists[i, len(x) :] = False
        return Features(torch.from_numpy(filled), torch.from_numpy(exists))

    def _samples(self, source: str) -> np.ndarray:
        """Samples ``(n, 3)``, as many as the windows need."""
        needed = (self.windows - 1) * self.stride + self.window
        lines = read_lines(self.folder.file(source, SENSOR_LIMIT))
        rows = [_sample(text, line) for line, text in islice(lines, needed)]
        if 0 < len(rows) < self.window:
            raise UnreadableError(f"it has {len(rows)} samples, a window has {self.window}")
        return np.array(rows, np.float32).reshape(-1, 3)


def _sample(text: str, line: int) -> tuple[float, ...]:
    fields = text.split(",")
    if len(fields) != 4:
        raise UnreadableError(f"line {line}: it has {len(fields)} fields, expected are ts, x, y, z")
    try:
        xyz = tuple(real_number(f, axis) for f, axis in zip(fields[1:], "xyz", strict=True))
    except UnreadableError as error:
        raise UnreadableError(f"line {line}: {error}") from error
    if max(map(abs, xyz)) > 1e6:  # far beyond any unit, and still a float32
        raise UnreadableError(f"line {line}: it is no movement: {max(map(abs, xyz)):g}")
    return xyz
