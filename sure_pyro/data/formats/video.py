"""Video as a modality: every n-th frame of an MP4 file through PyAV, prepared like a picture."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sure_pyro.data.formats.errors import UnreadableError, printable
from sure_pyro.data.formats.folder import MB, Folder
from sure_pyro.data.formats.images import Look, as_tensor, check_size
from sure_pyro.data.formats.modality import Features, Modality, Tokenizer

VIDEO_LIMIT = 500 * MB
CODECS = ("h264", "hevc", "mpeg4", "mjpeg")
MAX_FRAMES = 1000
MAX_PIXELS = 2**23  # of a frame: 3840 x 2160; decoders keep up to 16 frames


class Frames(Modality):
    """Frames ``(S, 3, crop, crop)``.

    Parameters
    ----------
    folder : Folder
    look : Look
    stride : int
        Every how many frames one is taken.
    frames : int
        S: longer videos are cut, shorter ones are filled up and have padding.

    Notes
    -----
    Decoding stops after S frames, and frames that claim more than 8 megapixels are refused before
    they are decoded.
    """

    def __init__(self, folder: Folder, look: Look, stride: int, frames: int):
        if not (0 < stride <= 1000 and 0 < frames <= MAX_FRAMES):
            raise ValueError(
                f"`frame_stride` and `frames` must be positive, at most {MAX_FRAMES}; got {stride} "
                f"and {frames}."
            )
        self.folder, self.look, self.stride, self.frames = folder, look.check(), stride, frames

    def load(self, source: str) -> Float[Tensor, "_ 3 s s"]:
        """Decode a file."""
        try:
            path = self.folder.file(source, VIDEO_LIMIT)
            return torch.stack(list(self._decode(path)))
        except UnreadableError as error:
            raise UnreadableError(f"{printable(source)}: {error}") from error

    def together(self, values: Sequence[Any], tokenizer: Tokenizer | None = None) -> Features:
        """Frames ``(B, S, 3, crop, crop)``, and which of them exist."""
        filled = torch.zeros(len(values), self.frames, 3, self.look.crop, self.look.crop)
        exists = torch.ones(len(values), self.frames, dtype=torch.bool)
        for i, x in enumerate(values):
            if x is not None:
                filled[i, : len(x)] = x
                exists[i, len(x) :] = False
        return Features(filled, exists)

    def _decode(self, path: Path) -> Iterator[Tensor]:
        av, count = _av(), 0
        try:
            # A fixed container and an open file: no play lists, no addresses of other files.
            with open(path, "rb") as file, av.open(file, format="mov") as container:
                for frame in islice(_frames(container), 0, None, self.stride):
                    yield as_tensor(frame.to_image(), self.look)
                    count += 1
                    if count == self.frames:
                        return
        except UnreadableError:
            raise
        except Exception as error:  # decoders raise whatever they stumble over
            raise UnreadableError(f"it can not be decoded: {printable(str(error))}") from error
        if count == 0:
            raise UnreadableError("it holds no frame")


def _frames(container: Any) -> Iterator[Any]:
    """Frames of the first video stream, whose size is looked at before each is turned to pixels."""
    if not container.streams.video:
        raise UnreadableError("it has no video")
    stream = container.streams.video[0]
    codec = stream.codec_context
    if codec.name not in CODECS:
        raise UnreadableError(f"it is coded as {codec.name}; expected is one of {CODECS}")
    check_size(codec.width, codec.height, MAX_PIXELS)
    codec.options = {"max_pixels": str(MAX_PIXELS)}  # for sizes that come later in the stream
    codec.thread_count = 1  # each thread would keep frames of its own
    for frame in container.decode(stream):
        check_size(frame.width, frame.height, MAX_PIXELS)
        yield frame


def _av() -> Any:
    try:
        import av
    except ImportError as error:
        raise ImportError("Reading videos needs av: pip install 'sure-pyro[video]'.") from error
    return av
