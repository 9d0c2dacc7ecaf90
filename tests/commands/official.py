"""Checkpoints in the official formats, of small networks, and the options that go with them."""

import json

import torch
from transformers import BertTokenizer, RobertaTokenizer

from sure_pyro.backbones.hamlet import HAMLET
from sure_pyro.backbones.mmbt import MMBT
from sure_pyro.backbones.mmml import MMML
from sure_pyro.data.formats import read_mmact
from tests.data.formats import small

SENSORS = ["acc_phone", "gyro"]


def mmml(folder):
    """A bare state dict, as the authors' program saves it, and the sizes of its encoders."""
    network = MMML.tiny("concatenation", seed=3)  # pooled latents: six seconds are 299 frames
    sizes = network.sizes
    torch.save(network.network.state_dict(), folder / "RH_acc_mosi_32_86.1.pth")
    layers = {"attention_heads": sizes.num_heads, "intermediate_size": sizes.intermediate_size}
    config = {
        "variant": "cc",
        "roberta": sizes.text,
        "data2vec_audio": sizes.audio,
        "num_cross_modal_layers": sizes.num_layers,
        "cross_modal": layers,
    }
    (folder / "sizes.json").write_text(json.dumps(config))
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    vocab = {piece: i for i, piece in enumerate([*special, *"abcdefghijklmnopqrstuvwxyzĠ"])}
    RobertaTokenizer(vocab, []).save_pretrained(folder / "words")
    options = ["--checkpoint", folder / "RH_acc_mosi_32_86.1.pth", "--variant", "concatenation"]
    options += ["--config", folder / "sizes.json", "--tokenizer", folder / "words"]
    return network, small.mosi(folder / "data"), [*options, "--max-length", 12]


def mmbt(folder):
    """A dictionary with the state dict in it."""
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghij", "##a", "##e", "##n"]
    BertTokenizer({piece: i for i, piece in enumerate(pieces)}).save_pretrained(folder / "words")
    bert = {
        "vocab_size": 40,
        "hidden_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "intermediate_size": 64,
        "max_position_embeddings": 32,
    }
    network = MMBT.tiny(5, 2, bert=bert, cls_id=2, sep_id=3)
    torch.save({"epoch": 1, "state_dict": network.state_dict()}, folder / "model_best.pt")
    options = ["--checkpoint", folder / "model_best.pt", "--num-image-embeds", 2]
    options += ["--tokenizer", folder / "words", "--max-length", 8]
    return network, small.mm_imdb(folder / "data"), options


def hamlet(folder):
    """A bare state dict, of a network of sensors alone."""
    data = read_mmact(small.mmact(folder / "data"), modalities=SENSORS)
    network = HAMLET.for_data(data.to_batch(data[:1]), 37, width=16, seed=3)
    torch.save(network.state_dict(), folder / "hamlet.pt")
    options = ["--width", 16, "--modalities", ",".join(SENSORS)]
    return network, folder / "data", ["--checkpoint", folder / "hamlet.pt", *options]


CHECKPOINTS = {"mmml": mmml, "mmbt": mmbt, "hamlet": hamlet}
HIDDEN = {"mmml": "audio", "mmbt": "text", "hamlet": "gyro"}
