"""WordLlama: the token embedding of a large language model, compressed to 256 numbers a token.

Tokenizer and embedding come with the package ``wordllama``, as plain files. What is said of a text
does not depend on the order of its tokens until something behind the embedding reads them.
"""

from collections.abc import Iterable

import torch.nn.functional as F
from jaxtyping import Float, Int64
from safetensors.torch import load_file
from torch import Tensor, nn

from sure_pyro.backbones.pretrained.files import packaged

PACKAGE = "wordllama"
WEIGHTS = "wordllama/weights/l2_supercat_256.safetensors"
TOKENIZER = "wordllama/tokenizers/l2_supercat_tokenizer_config.json"


class WordLlamaTokenizer:
    """Texts to token numbers.

    Raises
    ------
    ImportError
        If the packages of the extra ``pretrained`` are not installed.
    """

    def __init__(self) -> None:
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise ImportError(
                "Texts are cut by tokenizers: pip install 'sure-pyro[pretrained]'."
            ) from error
        self.tokenizer = Tokenizer.from_file(str(packaged(PACKAGE, TOKENIZER)))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()

    def __call__(self, texts: Iterable[str]) -> dict[str, list[list[int]]]:
        """Token numbers of each text, without marks of its start and end.

        Returns
        -------
        dict of lists of lists
            ``input_ids`` and ``attention_mask`` (all 1), of unequal lengths, in the form that
            `sure_pyro.from_arrays` takes as one modality: an empty text has no token, which makes
            the modality absent.

        For ``["control knobs", ""]`` they are ``[[2761, 889, 26860], []]``.
        """
        found = self.tokenizer.encode_batch([str(t) for t in texts], add_special_tokens=False)
        ids = [entry.ids for entry in found]
        return {"input_ids": ids, "attention_mask": [[1] * len(row) for row in ids]}


class WordLlamaEncoder(nn.Module):
    """Token numbers to their embedding; frozen.

    Raises
    ------
    ImportError
        If the packages of the extra ``pretrained`` are not installed.
    """

    channels = 256

    weight: Float[Tensor, "V 256"]

    def __init__(self) -> None:
        super().__init__()
        weight = load_file(packaged(PACKAGE, WEIGHTS))["embedding.weight"].float()
        self.weight = nn.Parameter(weight, requires_grad=False)

    def forward(self, input_ids: Int64[Tensor, "B L"]) -> Float[Tensor, "B L 256"]:
        """Embed."""
        return F.embedding(input_ids, self.weight)
