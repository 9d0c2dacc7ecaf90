"""Small datasets in the true formats, written from scratch: for tests, fuzzing and teaching."""

import csv
import json
import wave
from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image

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


MM_IMDB_ROWS = {  # id, text, picture (width, height) or None, labels
    "train": [
        ("0000001", "A MAN meets a woman.", (300, 400), ["Romance", "Drama"]),
        ("0000002", "Two robbers; no luck.", (256, 256), ["Crime", "Drama"]),
        ("0000003", "A film that has no poster.", None, ["Comedy"]),
        ("0000004", "Étoiles and wars.", (500, 300), ["Sci-Fi", "Romance"]),
    ],
    "dev": [("0000005", "Robots at home.", (280, 290), ["Sci-Fi"])],
    "test": [
        ("0000006", "A joke goes wrong.", (224, 300), ["Drama", "Comedy"]),
        ("0000007", "The end.", None, ["Drama"]),
    ],
}


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    """Smooth colours, different for every seed."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / (9 + seed)), np.cos(y / (7 + seed)), np.sin((x + y) / 11 + seed)]
    return Image.fromarray((127.5 + 127.5 * np.stack(waves, -1)).astype(np.uint8))


def mm_imdb(folder: Path, key: str = "img") -> Path:
    """MM-IMDB: seven films, two of them without a poster."""
    (folder / "dataset").mkdir(parents=True, exist_ok=True)
    for part, films in MM_IMDB_ROWS.items():
        lines = []
        for film_id, text, size, labels in films:
            name = None if size is None else f"dataset/{film_id}.jpeg"
            if size is not None:
                picture(*size, seed=int(film_id)).save(folder / name, quality=95)
            lines.append({"id": film_id, "text": text, key: name, "label": labels})
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{part}.jsonl").write_text(text, encoding="utf-8")
    return folder


def mm_imdb_raw(folder: Path) -> Path:
    """MM-IMDB as it is given out: the same films, and two that are left out by its preparation."""
    mm_imdb(folder)
    for part, films in MM_IMDB_ROWS.items():
        for film_id, text, _, labels in films:
            film = {"plot": ["Short.", text, text[:-1]], "genres": labels, "title": "x"}
            (folder / "dataset" / f"{film_id}.json").write_text(json.dumps(film))
        (folder / f"{part}.jsonl").unlink()
    for film_id, genres in (("0000008", ["Drama", "News"]), ("0000009", ["Western"])):
        film = {"plot": ["Long enough."], "genres": genres}
        (folder / "dataset" / f"{film_id}.json").write_text(json.dumps(film))
    split = {part: [row[0] for row in films] for part, films in MM_IMDB_ROWS.items()}
    split["train"].append("0000008")
    split["dev"].append("0000009")
    (folder / "split.json").write_text(json.dumps(split))
    return folder


def write_sensor(path: Path, samples: int, offset: float = 0.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"2018-10-01 12:00:{i / 100:06.3f},{i + offset},{-i},0.5\n" for i in range(samples)]
    path.write_text("".join(rows))


def write_video(path: Path, frames: int, size: int = 32, codec: str = "mpeg4") -> None:
    """Frames of one grey each, from dark to light."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream(codec, rate=30)
        stream.width = stream.height = size
        stream.pix_fmt = "yuv420p"
        for i in range(frames):
            grey = np.full((size, size, 3), 10 * i, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        container.mux(stream.encode())


MMACT_TAKES = [  # subject, scene, session, action, samples at 100 Hz
    (1, 1, 1, "carrying", 43), (1, 1, 2, "walking", 25), (2, 3, 5, "using_phone", 12),
    (17, 2, 1, "walking", 30), (20, 1, 5, "Talking", 11),
]  # fmt: skip


def mmact(folder: Path) -> Path:
    """MMAct: five takes of four people; of some, sensors or the video are missing or empty."""
    for i, (subject, scene, session, action, samples) in enumerate(MMACT_TAKES):
        place = f"subject{subject}/scene{scene}/session{session}/{action}"
        for sensor in ("acc_phone", "acc_watch", "gyro", "orientation"):
            count = samples if sensor.startswith("acc") else samples // 2
            write_sensor(folder / f"{sensor}_clip" / f"{place}.csv", count, offset=i)
        film = f"video/subject{subject}/cam1/scene{scene}/session{session}/{action}.mp4"
        write_video(folder / film, 7 + i)
        (folder / film.replace("cam1", "cam2")).parent.mkdir(parents=True, exist_ok=True)
        (folder / film.replace("cam1", "cam2")).write_bytes(b"another camera")
    (folder / "gyro_clip/subject1/scene1/session1/carrying.csv").write_bytes(b"")
    (folder / "orientation_clip/subject17/scene2/session1/walking.csv").write_bytes(b" \n\n")
    (folder / "acc_watch_clip/subject1/scene1/session2/walking.csv").unlink()
    (folder / "video/subject2/cam1/scene3/session5/using_phone.mp4").unlink()
    return folder


def mmsa_data(seed: int = 0) -> dict:
    """The content of an MMSA feature file: three parts of sequences, with texts and labels."""
    draw = np.random.default_rng(seed)
    data = {}
    for part, rows in (("train", 4), ("valid", 2), ("test", 3)):
        words = draw.integers(2, 7, rows)
        mask = (np.arange(6) < words[:, None]).astype(np.float32)
        tokens = np.stack([draw.integers(1, 99, (rows, 6)) * mask, mask, 0 * mask], 1)
        data[part] = {
            "raw_text": np.array([f"text {i} of {part}" for i in range(rows)], dtype=object),
            "id": [f"{part}{i // 2}$_${i}" for i in range(rows)],
            "text": draw.normal(size=(rows, 6, 4)).astype(np.float32),
            "audio": draw.normal(size=(rows, 9, 3)),
            "vision": draw.normal(size=(rows, 8, 2)).astype(np.float32),
            "text_bert": tokens.astype(np.float32),
            "audio_lengths": draw.integers(1, 10, rows).tolist(),
            "vision_lengths": draw.integers(1, 9, rows).tolist(),
            "annotations": ["Positive"] * rows,
            "classification_labels": draw.integers(0, 3, rows).astype(np.float64),
            "regression_labels": draw.uniform(-3, 3, rows),
        }
    return data
