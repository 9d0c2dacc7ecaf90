"""From the files of MM-IMDB, in their true format, to a prediction."""

from functools import partial

import pytest
import torch
from transformers import BertTokenizer

import sure_pyro as sp
from sure_pyro.backbones.mmbt import MMBT
from sure_pyro.data.formats import read_mm_imdb
from sure_pyro.models import encode_store
from tests.data.formats.small import mm_imdb

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = list("abcdefghijklmnopqrstuvwxyz.;")


def word_pieces(**options):
    """A tokenizer of BERT that knows letters."""
    pieces = [*SPECIAL, *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    tokenizer = BertTokenizer({piece: i for i, piece in enumerate(pieces)})
    return partial(tokenizer, padding="max_length", truncation=True, max_length=10,
                   return_tensors="pt", **options)  # fmt: skip


def backbone(**options):
    return MMBT.tiny(num_labels=5, num_image_embeds=2, cls_id=2, sep_id=3, **options)


def test_from_films_to_genres(tmp_path):
    films = read_mm_imdb(mm_imdb(tmp_path))
    tokenizer = word_pieces(add_special_tokens=False, return_token_type_ids=False)
    network = backbone()
    store = encode_store(
        network, films, tmp_path / "latents", tokenizer=tokenizer, progress_bar=False
    )
    train, validation = (store.select(store.splits[part]) for part in ("train", "validation"))
    model = sp.SURE(network, reconstructor_options={"width": 8})
    sp.fit(model, train, validation, epochs=1, seed=0, progress_bar=False)
    assert (
        model.class_names == films.class_names == ("Romance", "Drama", "Crime", "Comedy", "Sci-Fi")
    )
    test = films.to_batch(films.select(films.splits["test"]), tokenizer)
    prediction = model.predict(test, propagate="both", num_samples=50)
    assert prediction.mean.shape == (2, 5)
    brought = prediction.variance["image"]
    assert (brought[1] > 0).all()  # the film without a poster
    assert (brought[0] == 0).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"add_special_tokens": True}, r"begins with \[CLS\], token 2.*add_special_tokens=False"),
        (
            {"add_special_tokens": False, "return_token_type_ids": True},
            "are 0 throughout.*return_token_type_ids=False",
        ),
    ],
)
def test_texts_as_tokenized_for_bert_alone_are_refused(tmp_path, options, message):
    films = read_mm_imdb(mm_imdb(tmp_path))
    batch = films.to_batch(films.select([0, 1]), word_pieces(**options))
    with pytest.raises(ValueError, match=message):
        backbone().freeze().encode(batch)


def test_what_the_tokenizer_says_is_what_the_network_reads():
    tokenizer = word_pieces(add_special_tokens=False, return_token_type_ids=False)
    tokens = tokenizer(["A cab.", "b"])
    assert tokens["input_ids"][:, :5].tolist() == [[5, 7, 33, 34, 31], [6, 0, 0, 0, 0]]
    assert torch.equal(tokens["attention_mask"], (tokens["input_ids"] > 0).long())
