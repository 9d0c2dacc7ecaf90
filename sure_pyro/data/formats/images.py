"""Pictures as a modality: JPEG and PNG through pillow, resized, cropped and in units of an encoder.

The shorter side is brought to `resize` pixels and a square of `crop` is cut from the middle, in the
same roundings as torchvision's Resize and CenterCrop.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from sure_pyro.data.formats.errors import UnreadableError, printable
from sure_pyro.data.formats.folder import MB, Folder
from sure_pyro.data.formats.modality import Features, Modality, Tokenizer

IMAGE_LIMIT = 50 * MB  # of a file
MAX_PIXELS = 2**25  # of what it claims to hold: 32 megapixels, 100 MB when decoded
MAX_RATIO = 20  # of the longer side to the shorter: resizing a thread of pixels fills the memory
PROBES = ((400, 200), (200, 400))  # width and height of pictures that tell the shape
KINDS = ("JPEG", "PNG")  # others have decoders that start programs, or claim anything


class Look(NamedTuple):
    """What becomes of a picture.

    Attributes
    ----------
    resize, crop : int
        Of the shorter side, and of the square that is kept; in pixels.
    mean, std : tuple of three float
        Of red, green and blue between 0 and 1: subtracted, then divided by.
    """

    resize: int = 256
    crop: int = 224
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)

    def check(self) -> "Look":
        """Give itself.

        Raises
        ------
        ValueError
            If a number makes no sense.
        """
        if not 0 < self.crop <= self.resize <= 2048:
            raise ValueError(
                "`crop` and `resize` must be positive, `crop` the smaller one, at most 2048; got "
                f"{self.crop} and {self.resize}."
            )
        if len(self.mean) != 3 or len(self.std) != 3 or not min(self.std) > 0:
            raise ValueError(
                f"`mean` and `std` must have three numbers each, `std` positive; got {self.mean} "
                f"and {self.std}."
            )
        return self


class Pictures(Modality):
    """Pictures ``(3, H, W)``.

    Parameters
    ----------
    folder : Folder
    process : callable
        From a decoded picture, in red, green and blue, to a tensor ``(3, H, W)``.

    Raises
    ------
    ValueError
        If wide and high pictures do not become tensors of one shape.
    """

    def __init__(self, folder: Folder, process: Callable[[Image.Image], Tensor]):
        self.folder, self.process = folder, process
        shapes = [tuple(process(Image.new("RGB", size)).shape) for size in PROBES]
        self.shape = shapes[0]
        if len(set(shapes)) > 1 or len(self.shape) != 3:
            raise ValueError(
                "Pictures must become tensors (3, H, W) of one shape; pictures of "
                f"{' and '.join(f'{w} x {h}' for w, h in PROBES)} pixels became "
                f"{' and '.join(map(str, shapes))}. For an image processor of transformers, set a "
                "fixed `size` or `crop_size` (height and width) in its preprocessor_config.json or "
                "save one there that can have them, such as ViTImageProcessor."
            )

    def load(self, source: str) -> Float[Tensor, "3 h w"]:
        """Decode a file."""
        try:
            picture = self.process(read_image(self.folder.file(source, IMAGE_LIMIT)))
            if picture.shape != self.shape:
                raise UnreadableError(
                    f"it became a tensor {tuple(picture.shape)}, others {self.shape}"
                )
            return picture
        except UnreadableError as error:
            raise UnreadableError(f"{printable(source)}: {error}") from error

    def together(self, values: Sequence[Any], tokenizer: Tokenizer | None = None) -> Features:
        """Pictures ``(B, 3, H, W)``."""
        nothing = torch.zeros(self.shape)
        return Features(torch.stack([nothing if x is None else x for x in values]))


def read_image(path: Path) -> Image.Image:
    """Decode a picture, in red, green and blue.

    Raises
    ------
    UnreadableError
        If it is no JPEG or PNG, is cut short, or claims to be larger than `MAX_PIXELS`.
    """
    try:
        with Image.open(path, formats=KINDS) as image:
            check_size(*image.size, MAX_PIXELS)
            return image.convert("RGB")
    except UnreadableError:
        raise
    except Exception as error:  # decoders raise whatever they stumble over
        raise UnreadableError(f"it can not be decoded: {printable(str(error))}") from error


def check_size(width: int, height: int, most: int) -> None:
    """Raise UnreadableError if a picture claims more pixels than `most`, or is too narrow."""
    if width * height > most:
        raise UnreadableError(f"it claims {width} x {height} pixels, more than {most} altogether")
    if min(width, height) < 1 or max(width, height) > MAX_RATIO * min(width, height):
        raise UnreadableError(
            f"it has {width} x {height} pixels; the longer side may be {MAX_RATIO} times the "
            "shorter one"
        )


def as_tensor(image: Image.Image, look: Look) -> Float[Tensor, "3 s s"]:
    """Resize, cut and normalise a picture that was decoded."""
    square = _cut(_resize(image, look.resize), look.crop)
    pixels = torch.from_numpy(np.array(square)).permute(2, 0, 1).float() / 255  # (3, crop, crop)
    mean, std = (torch.tensor(values).reshape(3, 1, 1) for values in (look.mean, look.std))
    return (pixels - mean) / std


def _resize(image: Image.Image, shorter: int) -> Image.Image:
    width, height = image.size
    longer = int(shorter * max(width, height) / min(width, height))
    size = (shorter, longer) if width <= height else (longer, shorter)
    return image.resize(size, Image.Resampling.BILINEAR)


def _cut(image: Image.Image, side: int) -> Image.Image:
    left, top = (round((length - side) / 2.0) for length in image.size)
    return image.crop((left, top, left + side, top + side))
