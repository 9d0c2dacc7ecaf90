"""WordLlama: texts to token numbers to embeddings."""

import logging

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

import sure_pyro as sp
from sure_pyro.backbones.pretrained.files import packaged
from sure_pyro.backbones.pretrained.texts import PACKAGE, WEIGHTS


def test_texts_become_token_numbers_of_unequal_lengths(tokenizer):
    found = tokenizer(["control knobs", "", "cat"])
    assert found["input_ids"][0] == [2761, 889, 26290]
    assert [len(row) for row in found["input_ids"]] == [3, 0, 1]
    assert found["attention_mask"] == [[1, 1, 1], [], [1]]


def test_what_the_tokenizer_gives_is_a_modality_in_which_empty_texts_are_absent(tokenizer):
    batch = sp.from_arrays({"text": tokenizer(["a cat", "", "dog"]), "x": torch.zeros(3, 1)})
    assert batch.available.tolist() == [[True, True], [False, True], [True, True]]
    lengths = batch.padding["text"].sum(1)[batch.available[:, 0]]
    assert lengths.tolist() == [len(row) for row in tokenizer(["a cat", "dog"])["input_ids"]]


def test_embeddings_are_those_of_the_package(words):
    weight = load_file(packaged(PACKAGE, WEIGHTS))["embedding.weight"]
    ids = torch.tensor([[0, 5], [31999, 5]])
    assert torch.equal(words(ids), weight[ids].float())
    assert not any(p.requires_grad for p in words.parameters())


@pytest.mark.parametrize(
    ("word", "near", "far"),
    [("car", "vehicle", "banana"), ("happy", "cheerful", "harbour"), ("dog", "puppy", "invoice")],
)
def test_words_of_like_meaning_are_nearer(words, tokenizer, word, near, far):
    def embedded(text):
        return words(torch.tensor(tokenizer([text])["input_ids"])).mean(1)

    like, unlike = (F.cosine_similarity(embedded(word), embedded(x)).item() for x in (near, far))
    assert like > unlike + 0.1


def test_the_logging_of_the_program_is_left_alone(words, tokenizer):
    tokenizer(["a"])
    assert "wordllama" not in logging.root.manager.loggerDict
