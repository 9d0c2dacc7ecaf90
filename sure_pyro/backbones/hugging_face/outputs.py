"""Which fields of what a model of ``transformers`` returns are the representation."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sure_pyro.backbones.cut.call import chosen_output
from sure_pyro.backbones.cut.structure import children, described

LOGITS = "logits"
EMBEDDINGS = "_embeds"


class Fields:
    """Fields of an output, side by side: ``(B, H_1 + H_2 + ...)``.

    Parameters
    ----------
    paths : sequence of str, int or tuple of them
        Of the fields, in order.
    """

    def __init__(self, paths: Sequence[Any]):
        self.paths = [tuple(path) if isinstance(path, list) else path for path in paths]

    def __call__(self, value: Any) -> Tensor:
        """Pick them."""
        return torch.cat([chosen_output(value, path, "The model") for path in self.paths], -1)


def as_output(output: Any) -> Any:
    """The argument `output` as `chosen_output` takes it: a list means several fields."""
    return Fields(output) if isinstance(output, list) else output


def row_fields(two: Any, three: Any) -> dict[str, Tensor]:
    """Tensors ``(B, H)`` or ``(B,)`` among the fields, by what two and three rows of input give."""
    more = dict(children(three))
    return {
        name: x
        for name, x in children(two)
        if isinstance(x, Tensor)
        and x.is_floating_point()
        and x.ndim in (1, 2)
        and (len(x), *more[name].shape) == (2, 3, *x.shape[1:])
    }


def check_rowwise(two: Any, three: Any, output: Any, of: str) -> None:
    """Raise ValueError if what was chosen of an output is no vector per row."""
    shapes = [tuple(chosen_output(x, output, of).shape) for x in (two, three)]
    if shapes != [(2, shapes[0][1]), (3, shapes[0][1])]:
        raise ValueError(
            f"The `output` of {of} must be a vector per row; it has the shape {shapes[0]} for two "
            f"rows and {shapes[1]} for three, as similarities between rows do. Of one vector per "
            f"row are {list(row_fields(two, three))}."
        )


def usual_fields(two: Any, three: Any, of: str) -> list[str]:
    """Fields that are meant where none are named.

    ``logits``; else all that are called ``..._embeds``, as dual encoders give them; else the only
    one of the form ``(B, H)``.

    Parameters
    ----------
    two, three
        Outputs for two and three rows, which tell what belongs to a row: similarities between all
        rows of a batch do not.
    of : str
        Name of the model, for the error.

    Raises
    ------
    ValueError
        If it is not clear which are meant.
    """
    found = row_fields(two, three)
    if LOGITS in found:
        return [LOGITS]
    embeddings = [name for name in found if name.endswith(EMBEDDINGS)]
    if embeddings or len(found) == 1:
        return embeddings or list(found)
    raise ValueError(
        f"{of} returns {described(two)} for two rows: say which fields are the representation, "
        f"`output='name'` or `output=['one', 'two']` side by side. Of one vector per row are "
        f"{list(found)}."
    )
