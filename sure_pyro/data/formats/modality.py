"""What a reader says of a modality: how one entry is decoded, how several become tensors."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor

Tokenizer = Callable[[list[str]], Mapping[str, Any]]


class Features(NamedTuple):
    """A modality of some rows, as an encoder gets it.

    Attributes
    ----------
    values : Tensor, shape ``(B, *event)``, or dict of such
    padding : bool Tensor, shape ``(B, L)``, or None
        True where a token exists; True throughout where the modality is absent.
    """

    values: Tensor | dict[str, Tensor]
    padding: Tensor | None = None


class Modality(ABC):
    """How one modality is read from disk and put together for an encoder."""

    @abstractmethod
    def load(self, source: Any) -> Any:
        """Decode one entry; None where its file holds nothing.

        Raises
        ------
        UnreadableError
            With the name of the file.
        """

    @abstractmethod
    def together(self, values: Sequence[Any], tokenizer: Tokenizer | None) -> Features:
        """Features of some rows; None stands for an absent one, whose numbers are free."""
