"""Sound as a modality: WAV files through soundfile, one channel, one rate, cut to a length."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from sure_pyro.data.formats.errors import UnreadableError
from sure_pyro.data.formats.folder import MB, Folder
from sure_pyro.data.formats.modality import Features, Modality, Tokenizer

WAV_LIMIT = 500 * MB  # an hour of four channels at 16 kHz
MAX_CHANNELS = 8
RATES = (4_000, 192_000)  # Hz: from telephones to studios
CODINGS = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW")


class Sound(Modality):
    """Waveforms at one rate.

    Parameters
    ----------
    folder : Folder
    seconds : float
        Longer clips are cut.
    rate : int
        In Hz.
    resample : bool
        Convert files of another rate (polyphase filtering); they are refused otherwise.
    normalize : bool
        Mean 0 and variance 1 over each clip, as the encoders of MMML were trained.

    Notes
    -----
    At most `MAX_CHANNELS` channels of `seconds` are read, so a header that claims more costs no
    memory.
    """

    def __init__(self, folder: Folder, seconds: float, rate: int, resample: bool, normalize: bool):
        self.folder, self.seconds, self.rate = folder, seconds, rate
        self.resample, self.normalize = resample, normalize

    def load(self, source: str) -> np.ndarray:
        """Waveform (T,), float32."""
        try:
            x, rate = read_wav(self.folder.file(source, WAV_LIMIT), self.seconds)
            x = self._at_rate(x, rate)
        except UnreadableError as error:
            raise UnreadableError(f"{source}: {error}") from error
        if self.normalize:
            x = (x - x.mean()) / np.sqrt(x.var() + 1e-7)
        return x.astype(np.float32)

    def together(self, values: Sequence[Any], tokenizer: Tokenizer | None = None) -> Features:
        """Waveforms ``(B, T)``, filled up with zeros to `seconds`, and where they are sound."""
        waves = np.zeros((len(values), self._length), np.float32)
        exists = np.ones((len(values), self._length), bool)
        for i, x in enumerate(values):
            if x is not None:
                waves[i, : len(x)] = x
                exists[i, len(x) :] = False
        return Features(torch.from_numpy(waves), torch.from_numpy(exists))

    def _at_rate(self, x: np.ndarray, rate: int) -> np.ndarray:
        if rate == self.rate:
            return x
        if not self.resample:
            raise UnreadableError(
                f"it has {rate} Hz, expected are {self.rate} Hz; with `resample=True` "
                "(`--resample`) it is converted"
            )
        from scipy.signal import resample_poly

        common = math.gcd(rate, self.rate)
        return resample_poly(x, self.rate // common, rate // common)[: self._length]

    @property
    def _length(self) -> int:
        return round(self.seconds * self.rate)


class Wave(NamedTuple):
    """Samples (T,) in [-1, 1], and their rate in Hz."""

    samples: np.ndarray
    rate: int


def read_wav(path: Path, seconds: float) -> Wave:
    """First seconds of a WAV file, channels averaged.

    Raises
    ------
    UnreadableError
        If it is no WAV file, is shorter than it claims, or holds no samples, or NaN.
    ImportError
        If soundfile is not installed.
    """
    soundfile = _soundfile()
    _check_length(path)
    try:
        with soundfile.SoundFile(path) as sound:
            _check_header(sound)
            rate = sound.samplerate
            x = sound.read(round(seconds * rate), dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError, TypeError, ValueError) as error:
        if isinstance(error, UnreadableError):
            raise
        raise UnreadableError(f"it can not be decoded: {error}") from error
    if len(x) == 0 or not np.isfinite(x).all():
        raise UnreadableError("it holds no samples" if len(x) == 0 else "it holds NaN or infinity")
    return Wave(x.mean(1), rate)


def _check_length(path: Path) -> None:
    """The length in the header of a RIFF file counts what follows its first eight bytes."""
    with open(path, "rb") as file:
        head = file.read(8)
    size = path.stat().st_size
    claimed = int.from_bytes(head[4:8], "little") + 8
    if head[:4] == b"RIFF" and claimed > size:
        raise UnreadableError(f"its header claims {claimed} bytes, it has {size}: it was cut short")


def _check_header(sound: Any) -> None:
    if sound.format not in ("WAV", "WAVEX") or sound.subtype not in CODINGS:
        raise UnreadableError(f"it is no plain WAV file but {sound.format} with {sound.subtype}")
    if sound.channels > MAX_CHANNELS or not RATES[0] <= sound.samplerate <= RATES[1]:
        raise UnreadableError(
            f"it claims {sound.channels} channels at {sound.samplerate} Hz; expected are at most "
            f"{MAX_CHANNELS}, at {RATES[0]} to {RATES[1]} Hz"
        )


def _soundfile() -> Any:
    try:
        import soundfile
    except ImportError as error:
        raise ImportError(
            "Reading sound needs soundfile: pip install 'sure-pyro[audio]'."
        ) from error
    return soundfile
