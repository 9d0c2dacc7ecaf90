"""MM-IMDB as MMBT reads it: values by hand and by pillow, then everything that can be wrong."""

import io
import json
import re
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from sure_pyro.data.formats import DatasetError, images, read_mm_imdb
from tests.data.formats.small import MM_IMDB_ROWS, mm_imdb, mm_imdb_raw, picture, tokenizer


@pytest.fixture
def folder(tmp_path):
    return mm_imdb(tmp_path / "mmimdb")


def rewrite(folder, part="train", row=0, **changes):
    """Change fields of a line; a field that becomes ... is left out."""
    path = folder / f"{part}.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    fields = {**lines[row], **changes}
    lines[row] = {k: v for k, v in fields.items() if v is not ...}
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def refused(folder, **options):
    with pytest.raises(DatasetError) as error:
        read_mm_imdb(folder, **options).check()
    return str(error.value)


# -- what is read ---------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["img", "image"])
def test_rows_parts_and_labels(tmp_path, key):
    data = read_mm_imdb(mm_imdb(tmp_path, key))
    assert (len(data), data.modalities, data.task) == (7, ("text", "image"), "multilabel")
    assert data.class_names == ("Romance", "Drama", "Crime", "Comedy", "Sci-Fi")
    assert data.target.int().tolist() == [
        [1, 1, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 1, 0], [1, 0, 0, 0, 1],
        [0, 0, 0, 0, 1], [0, 1, 0, 1, 0], [0, 1, 0, 0, 0]]  # fmt: skip
    assert {n: m.nonzero().flatten().tolist() for n, m in data.splits.items()} == {
        "train": [0, 1, 2, 3], "validation": [4], "test": [5, 6]}  # fmt: skip
    assert data.available[:, 1].tolist() == [True, True, False, True, True, True, False]
    assert data.group is None
    assert data[3].values["text"] == "Étoiles and wars."


def test_a_picture_is_resized_cropped_and_normalised(folder):
    mean, std = (0.5, 0.4, 0.3), (0.1, 0.2, 0.3)
    x = read_mm_imdb(folder, mean=mean, std=std)[0].values["image"]
    with Image.open(folder / "dataset/0000001.jpeg") as image:  # 300 x 400: becomes 256 x 341
        small = image.convert("RGB").resize((256, 341), Image.Resampling.BILINEAR)
    top, left = 58, 16  # (341 - 224) / 2 = 58.5, which rounds to even; (256 - 224) / 2
    pixels = np.asarray(small)[top : top + 224, left : left + 224] / 255
    expected = (pixels - np.array(mean)) / np.array(std)
    assert (x.shape, x.dtype) == ((3, 224, 224), torch.float32)
    np.testing.assert_allclose(x.permute(1, 2, 0).numpy(), expected, atol=1e-5)


def test_the_defaults_are_those_of_mmbt(folder):
    plain = read_mm_imdb(folder, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))[1].values["image"]
    x = read_mm_imdb(folder)[1].values["image"]
    mean, std = torch.tensor([0.46777044, 0.44531429, 0.40661017]), torch.tensor(
        [0.12221994, 0.12145835, 0.14380469])  # fmt: skip
    torch.testing.assert_close(x, (plain - mean[:, None, None]) / std[:, None, None])
    assert 0 <= plain.min() <= plain.max() <= 1


def test_a_batch_for_the_encoder(folder):
    data = read_mm_imdb(folder, resize=40, crop=32)
    batch = data.to_batch(data[1:4], tokenizer)
    assert batch.features["image"].shape == (3, 3, 32, 32)
    assert batch.available.tolist() == [[True, True], [True, False], [True, True]]
    assert (batch.features["image"][1] == 0).all()
    assert (batch.task, batch.class_names) == ("multilabel", data.class_names)
    torch.testing.assert_close(batch.target, data.target[1:4])


def test_text_may_be_absent(folder):
    rewrite(folder, text=None)
    data = read_mm_imdb(folder)
    assert data.available[0].tolist() == [False, True]
    assert data[0].values["text"] is None
    rewrite(folder, img=None)
    assert "train.jsonl, line 1: it has neither text nor image" in refused(folder)


def test_png_grey_and_palette_pictures_become_colours(folder):
    path = folder / "dataset/0000001.jpeg"
    for mode in ("L", "P", "RGBA", "1", "LA"):
        picture(300, 300).convert(mode).save(path, format="PNG")
        assert read_mm_imdb(folder)[0].values["image"].shape == (3, 224, 224)
    picture(300, 300).convert("CMYK").save(path, format="JPEG")
    assert read_mm_imdb(folder)[0].values["image"].shape == (3, 224, 224)


def test_labels_of_a_row_that_is_skipped_keep_their_place(folder):
    (folder / "dataset/0000001.jpeg").unlink()
    data = read_mm_imdb(folder, on_error="skip")
    assert (len(data), data.skipped) == (6, 1)
    assert data.class_names == ("Romance", "Drama", "Crime", "Comedy", "Sci-Fi")
    absent = read_mm_imdb(folder, missing_files="absent")
    assert (len(absent), absent.skipped, absent[0].values["image"]) == (7, 0, None)


def test_another_test_part(folder):
    (folder / "test_hard_gt.jsonl").write_text((folder / "test.jsonl").read_text().splitlines()[0])
    data = read_mm_imdb(folder, test="test_hard_gt.jsonl")
    assert data.select(data.splits["test"]).ids == ("0000006",)


def test_the_official_split_is_looked_at(folder):
    split = {part: [row[0] for row in rows] for part, rows in MM_IMDB_ROWS.items()}
    (folder / "split.json").write_text(json.dumps(split))
    assert len(read_mm_imdb(folder)) == 7
    split["test"].append(split["train"].pop(0))
    split["dev"].pop()
    (folder / "split.json").write_text(json.dumps(split))
    text = refused(folder)
    assert "train.jsonl, line 1: id '0000001' belongs to part 'test' by split.json" in text
    assert "dev.jsonl, line 1: id '0000005' belongs to no part by split.json" in text


def test_the_dataset_as_it_is_given_out(tmp_path):
    raw = mm_imdb_raw(tmp_path / "raw")
    prepared, data = (
        read_mm_imdb(mm_imdb(tmp_path / "jsonl")),
        read_mm_imdb(raw, missing_files="absent"),
    )
    assert (data.ids, data.class_names) == (prepared.ids, prepared.class_names)
    assert torch.equal(data.target, prepared.target)
    assert torch.equal(data.available, prepared.available)
    assert [row.values["text"] for row in data] == [row.values["text"] for row in prepared]


@pytest.mark.parametrize(
    ("film", "why"),
    [
        ("[1]", "it must be a JSON object; got list"),
        ('{"genres": ["a"]}', "'plot' must be a list of texts; got None"),
        ('{"plot": ["a"], "genres": "Drama"}', "'genres' must be a list of texts; got 'Drama'"),
        ('{"plot": ["a"], "genres": []}', "'label' must be a list of genres"),
        ("{", "it is no JSON"),
    ],
)
def test_films_that_can_not_be_read(tmp_path, film, why):
    folder = mm_imdb_raw(tmp_path)
    (folder / "dataset/0000001.json").write_text(film)
    assert f"dataset/0000001.json: {why}" in refused(folder, missing_files="absent")


def test_ids_that_lead_elsewhere(tmp_path):
    folder = mm_imdb_raw(tmp_path)
    (folder / "split.json").write_text(
        '{"train": ["../../x", "/etc/x", "0000001"], "dev": [], "test": []}'
    )
    text = refused(folder)
    assert "dataset/../../x.json: 'dataset/../../x.json' is no path within the folder" in text
    assert "dataset//etc/x.json: there is no such file" in text


# -- what is wrong with it ------------------------------------------------------------------------


def test_everything_missing_is_told_at_once(tmp_path):
    text = refused(tmp_path)
    for name in ("train.jsonl", "dev.jsonl", "test.jsonl"):
        assert f"{name}: there is no such file" in text
    assert "MM-IMDB is given out by its authors" in text
    assert "3 problems" in text


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"id": ...}, "'id' must be a text or a whole number; got None"),
        ({"id": True}, "'id' must be a text or a whole number; got True"),
        ({"id": ""}, "'id' is empty"),
        ({"id": "0000002"}, "line 2: id '0000002' stands in train.jsonl, line 1 already"),
        ({"id": "x" * 1000}, "'id' must be a text"),
        ({"text": ...}, "it needs 'text', if only with null"),
        ({"text": 5}, "'text' must be a text or null; got 5"),
        ({"text": " "}, "'text' is empty; null says that there is none"),
        ({"text": "\ud800"}, "'text' must be a text or null"),
        ({"img": ...}, "it needs one of 'img' and 'image', if only with null"),
        ({"image": None}, "it needs one of 'img' and 'image'"),
        ({"img": 5}, "'img' must be a path or null; got 5"),
        ({"img": ""}, "'' is no file name"),
        ({"img": "../x.jpeg"}, "'../x.jpeg' is no path within the folder"),
        ({"img": "/etc/passwd"}, "'/etc/passwd' is no path within the folder"),
        ({"img": "dataset/../../x"}, "is no path within the folder"),
        ({"img": "a\0b"}, "is no file name"),
        ({"img": "\ud800"}, "is no file name|no such file"),
        ({"img": "none.jpeg"}, "none.jpeg: there is no such file"),
        ({"img": "dataset"}, "dataset: it is no regular file"),
        ({"img": "x" * 100_000}, "is no file name"),
        ({"label": ...}, "'label' must be a list of genres; got None"),
        ({"label": "Drama"}, "'label' must be a list of genres; got 'Drama'"),
        ({"label": []}, "'label' must be a list of genres"),
        ({"label": [1]}, "'label' must be a list of genres"),
        ({"label": ["x" * 101]}, "'label' must be a list of genres"),
        ({"label": ["\udc80"]}, "'label' is no text"),
    ],
)  # fmt: skip
def test_wrong_values_are_named_by_line(folder, changes, why):
    rewrite(folder, **changes)
    text = refused(folder)
    assert re.search(rf"train.jsonl, line \d: .*({why})|train.jsonl, ({why})", text), text


def test_a_label_that_the_training_part_does_not_know(folder):
    rewrite(folder, "dev", label=["Sci-Fi", "Western"])
    assert "dev.jsonl, line 1: label 'Western' does not occur in train.jsonl" in refused(folder)
    assert len(read_mm_imdb(folder, on_error="skip")) == 6


def film(number, labels):
    fields = {"id": number, "text": "x", "img": None, "label": list(map(str, labels))}
    return json.dumps(fields).encode() + b"\n"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "train.jsonl: it is empty"),
        (b"\n\n", "it has 0 different labels"),
        (b"{", "line 1: it is no JSON"),
        (b'{"id": NaN}', "line 1: it is no JSON: NaN is no JSON number"),
        (b'{"id": 1, "id": 2}', "line 1: it is no JSON: a name stands twice"),
        (b"[1]", "line 1: it must be a JSON object; got list"),
        (b"[" * 100_000, "line 1: it is no JSON"),
        (b'{"id": ' + b"9" * 5000 + b"}", "line 1: it is no JSON"),
        (b'{"id": "\xff"}', "line 1: it is no text in UTF-8"),
        (b"\xff\xfe{\0}\0", "train.jsonl: it is in UTF-16"),
        (b"\x89PNG\r\n", "line 1: it is no text in UTF-8"),
        (b'{"x": "' + b"x" * 10**6, "it has a line of more than 1000000 characters"),
        (film(1, range(201)), "'label' must be a list of genres"),
        (b"".join(film(i, [i]) for i in range(300)),
         "it has 201 different labels; expected are 1 to 200"),
    ],
)  # fmt: skip
def test_broken_files(folder, data, why):
    (folder / "train.jsonl").write_bytes(data)
    assert re.search(why, refused(folder))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "split.json: it is empty"),
        ("[1]", "it must be an object of lists of ids"),
        ('{"train": 1}', "it must be an object of lists of ids"),
        ('{"train": [null]}', "'id' must be a text"),
        ('{"train": ["1"], "test": ["1"]}', "id '1' stands in two parts"),
        ("{" * 10_000, "it is no JSON"),
    ],
)
def test_a_broken_split(folder, text, why):
    (folder / "split.json").write_text(text)
    assert re.search(f"split.json: .*{why}|{why}", refused(folder))


def png(width, height, data=b"", kind=2):
    """A PNG file, built byte by byte."""

    def chunk(name, body):
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def jpeg(cut=None):
    file = io.BytesIO()
    picture(64, 64).save(file, format="JPEG")
    return file.getvalue()[:cut]


def saved(kind):
    file = io.BytesIO()
    picture(64, 64).save(file, format=kind)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it is empty"),
        (b"no picture", "it can not be decoded"),
        (jpeg(300), "it can not be decoded"),
        (jpeg(-100), "it can not be decoded"),
        (jpeg()[:2] + bytes(1000), "it can not be decoded"),
        (png(20_000, 20_000), "claims 20000 x 20000 pixels|decompression bomb"),
        (png(7_000, 7_000), "it claims 7000 x 7000 pixels, more than 33554432"),
        (png(2**31 - 1, 2**31 - 1), "claims|can not be decoded"),
        (png(30_000, 1), "the longer side may be 20 times the shorter one"),
        (png(0, 0), "can not be decoded"),
        (png(8, 8), "it can not be decoded"),
        (png(8, 8, zlib.compress(bytes(10))), "it can not be decoded"),
        (saved("GIF"), "it can not be decoded"),
        (saved("BMP"), "it can not be decoded"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n", "it can not be"),
        (b"RIFF\x24\0\0\0WEBPVP8 ", "it can not be decoded"),
    ],
)  # fmt: skip
def test_broken_pictures(folder, data, why):
    (folder / "dataset/0000001.jpeg").write_bytes(data)
    text = refused(folder)
    assert re.search("train.jsonl, line 1: dataset/0000001.jpeg: ", text)
    assert re.search(why, text), text


def test_a_huge_file_and_links(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("sure_pyro.data.formats.mm_imdb.IMAGE_LIMIT", 100)
    assert "files of this kind have at most 0 MB" in refused(folder)
    monkeypatch.undo()
    path = folder / "dataset/0000001.jpeg"
    path.unlink()
    path.symlink_to("/etc/passwd")
    assert "line 1: dataset/0000001.jpeg: it is a symbolic link that leads out" in refused(folder)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"crop": 300}, "`crop` and `resize` must be positive, `crop` the smaller one"),
        ({"std": (1.0, 1.0, 0.0)}, "`std` positive; got"),
        ({"mean": (1.0, 1.0)}, "must have three numbers each"),
        ({"missing_files": "no"}, "`missing_files` must be 'error' or 'absent'; got 'no'"),
        ({"on_error": "no"}, "`on_error` must be"),
    ],
)
def test_choices(folder, options, why):
    with pytest.raises(ValueError, match=why):
        read_mm_imdb(folder, **options)


def test_a_picture_that_has_to_be_decoded_is_bounded():
    assert images.MAX_PIXELS < Image.MAX_IMAGE_PIXELS  # ours says what it is, without a warning
