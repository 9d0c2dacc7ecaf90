"""The encoders, where their packages are installed."""

import pytest

from sure_pyro.backbones.pretrained import Lite0Encoder, WordLlamaEncoder, WordLlamaTokenizer


def _made(kind, *args):
    try:
        return kind(*args)
    except ImportError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def pictures():
    return _made(Lite0Encoder, 64)


@pytest.fixture(scope="session")
def words():
    return _made(WordLlamaEncoder)


@pytest.fixture(scope="session")
def tokenizer():
    return _made(WordLlamaTokenizer)
