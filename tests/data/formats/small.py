"""Small datasets in the true formats, written from scratch: for tests, fuzzing and teaching."""

import csv
import wave
from pathlib import Path

import numpy as np
import torch

MOSI_ROWS = [  # video_id, clip_id, text, label, mode
    ("03bSnISJMiM", 1, "A LOT OF SAD PARTS", 0.6, "train"),
    ("03bSnISJMiM", 10, "I LIKED, \"THE\" END", 2.4, "train"),
    ("03bSnISJMiM", 2, "THERE IS SAD STUFF", -1.2, "train"),
    ("03bSnISJMiM", 3, "BUT IT WAS FUN", 3.0, "train"),
    ("aiEXnCPZubE", 4, "ÄNDERN WE MUST", -3, "valid"),
    ("tStelxIAHjw", 0, "IT IS NOT GOOD", -1.8, "test"),
    ("tStelxIAHjw", 1, "NOT AT ALL", -2.0, "test"),
]  # fmt: skip


def write_wav(path: Path, samples: np.ndarray, rate: int = 16_000) -> None:
    """Write samples (T,) or (T, channels) in [-1, 1] as 16 bit PCM, with the standard library."""
    samples = np.atleast_2d(samples.T).T
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 32767).round().astype("<i2").tobytes())


def write_table(path: Path, columns, rows) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])


def mosi(folder: Path, seconds: float = 0.05) -> Path:
    """CMU-MOSI: seven clips of three videos, each with a sound of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    write_table(folder / "label.csv", ["video_id", "clip_id", "text", "label", "mode"], MOSI_ROWS)
    for i, (video, clip, *_) in enumerate(MOSI_ROWS):
        t = np.arange(round(16_000 * seconds)) / 16_000
        write_wav(
            folder / "wav" / video / f"{clip}.wav", 0.5 * np.sin(2 * np.pi * 200 * (i + 1) * t)
        )
    return folder


def sims(folder: Path) -> Path:
    """CH-SIMS: two clips, labels by modality, file names with four digits."""
    folder.mkdir(parents=True, exist_ok=True)
    columns = ["video_id", "clip_id", "text", "label", "label_T", "label_A", "label_V", "mode"]
    rows = [
        ("video_0001", "0001", "我不想 嫁给李茶", -1.0, -0.8, -1.0, -1.0, "train"),
        ("video_0001", "0002", "ABC", 0.2, 0.4, 0.0, -0.2, "test"),
    ]
    write_table(folder / "label.csv", columns, rows)
    for number in (1, 2):
        write_wav(folder / "wav" / "video_0001" / f"{number:04d}.wav", np.full(800, 0.1 * number))
    return folder


def tokenizer(texts: list[str], length: int = 12) -> dict[str, torch.Tensor]:
    """Tokens are characters, between two marks, cut and filled up to one length."""
    ids = [[1, *(3 + ord(c) % 60 for c in text[: length - 2]), 2] for text in texts]
    filled = [row + [0] * (length - len(row)) for row in ids]
    tokens = torch.tensor(filled)
    return {"input_ids": tokens, "attention_mask": (tokens > 0).long()}
