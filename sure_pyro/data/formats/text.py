"""Text as a modality: kept as it is, and turned into tokens by a tokenizer of the caller."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from sure_pyro.data.formats.modality import Features, Modality, Tokenizer


class Text(Modality):
    """Texts that stand in the tables themselves."""

    def load(self, source: str) -> str:
        """Give the text."""
        return source

    def together(self, values: Sequence[str | None], tokenizer: Tokenizer | None) -> Features:
        """Tokens of some texts; an absent text is tokenized as an empty one."""
        if tokenizer is None:
            raise ValueError(
                "These rows have text: give `tokenizer`, a function from a list of texts to a "
                "mapping of tensors such as {'input_ids', 'attention_mask'}."
            )
        tokens = tokenizer([value or "" for value in values])
        return Features(_check_tokens(tokens, len(values)))  # their attention mask is the padding


def _check_tokens(tokens: Any, rows: int) -> dict[str, Tensor]:
    """Tensors ``(rows, L)`` by name, the attention mask among them."""
    if not isinstance(tokens, Mapping) or "attention_mask" not in tokens:
        raise ValueError(
            "`tokenizer` must return a mapping with 'attention_mask' in it; got "
            f"{list(tokens) if isinstance(tokens, Mapping) else type(tokens).__name__}."
        )
    tensors = dict(tokens)
    wrong = [name for name, x in tensors.items() if not isinstance(x, Tensor) or x.ndim != 2]
    shapes = {tuple(x.shape) for x in tensors.values() if isinstance(x, Tensor)}
    if wrong or len(shapes) != 1 or next(iter(shapes))[0] != rows:
        got = {name: getattr(x, "shape", type(x).__name__) for name, x in tensors.items()}
        raise ValueError(
            f"`tokenizer` must return tensors of one shape ({rows}, L); got {got}. For one of "
            "`transformers` set padding='max_length' (or True) and return_tensors='pt'."
        )
    return tensors
