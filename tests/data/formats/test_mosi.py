"""CMU-MOSI as MMML reads it: values by hand, then everything that can be wrong with the files."""

import os
import re
import struct

import numpy as np
import pytest
import torch

from sure_pyro.data.formats import DatasetError, read_mosi
from tests.data.formats.small import MOSI_ROWS, mosi, sims, tokenizer, write_table, write_wav

COLUMNS = ["video_id", "clip_id", "text", "label", "mode"]


@pytest.fixture
def folder(tmp_path):
    return mosi(tmp_path / "MOSI")


def rewrite(folder, **changes):
    """Write the table again, with other values in its first row."""
    first = [changes.get(c, v) for c, v in zip(COLUMNS, MOSI_ROWS[0], strict=True)]
    write_table(folder / "label.csv", COLUMNS, [first, *MOSI_ROWS[1:]])


# -- what is read ---------------------------------------------------------------------------------


def test_rows_splits_groups_and_labels(folder):
    data = read_mosi(folder)
    assert (len(data), data.modalities, data.task) == (7, ("text", "audio"), "regression")
    assert data.ids[:2] == ("03bSnISJMiM/1", "03bSnISJMiM/10")
    torch.testing.assert_close(data.target, torch.tensor([0.6, 2.4, -1.2, 3.0, -3.0, -1.8, -2.0]))
    assert data.group.tolist() == [0, 0, 0, 0, 1, 2, 2]
    assert {name: mask.nonzero().flatten().tolist() for name, mask in data.splits.items()} == {
        "train": [0, 1, 2, 3], "validation": [4], "test": [5, 6]}  # fmt: skip
    assert data.available.all()
    assert repr(data) == (
        "<CMU-MOSI (or CMU-MOSEI, CH-SIMS): 7 rows (train 4, validation 1, test 2); "
        "text 7, audio 7; regression>"
    )


def test_text_keeps_its_first_character(folder):
    texts = [row.values["text"] for row in read_mosi(folder)[:5]]
    assert texts == ["A lot of sad parts", 'I liked, "the" end', "There is sad stuff",
                     "But it was fun", "Ändern we must"]  # fmt: skip


def test_sound_is_the_wave_in_its_file(folder):
    t = np.arange(800) / 16_000
    wave = read_mosi(folder, normalize=False)[2].values["audio"]
    assert wave.dtype == np.float32
    np.testing.assert_allclose(wave, 0.5 * np.sin(2 * np.pi * 600 * t), atol=2e-4)


def test_normalised_sound_is_that_of_the_feature_extractor(folder):
    transformers = pytest.importorskip("transformers")
    plain, data = read_mosi(folder, normalize=False, seconds=0.03), read_mosi(folder, seconds=0.03)
    extractor = transformers.Wav2Vec2FeatureExtractor(
        feature_size=1, sampling_rate=16_000, padding_value=0.0, do_normalize=True,
        return_attention_mask=True)  # fmt: skip
    uncut = read_mosi(folder, normalize=False)[3].values["audio"]
    official = extractor(uncut, sampling_rate=16_000, max_length=480, truncation=True,
                         padding="max_length")["input_values"][0]  # fmt: skip
    assert len(plain[3].values["audio"]) == 480
    np.testing.assert_allclose(data[3].values["audio"], official, atol=1e-5)


def test_channels_are_averaged_and_clips_are_cut(folder):
    both = np.stack([np.full(1600, 0.5), np.full(1600, -0.25)], 1)
    write_wav(folder / "wav/03bSnISJMiM/1.wav", both)
    wave = read_mosi(folder, normalize=False, seconds=0.05)[0].values["audio"]
    np.testing.assert_allclose(wave, np.full(800, 0.125), atol=1e-4)


def test_another_rate_is_refused_or_converted(folder):
    t = np.arange(2205) / 44_100
    write_wav(folder / "wav/03bSnISJMiM/1.wav", 0.5 * np.sin(2 * np.pi * 300 * t), 44_100)
    with pytest.raises(DatasetError, match=r"label.csv, line 2: wav/03bSnISJMiM/1.wav: it has 44100"
                       " Hz, expected are 16000 Hz; with `resample=True`"):  # fmt: skip
        read_mosi(folder)[0]
    wave = read_mosi(folder, normalize=False, resample=True)[0].values["audio"]
    inside = slice(100, 700)  # the filter rings at the ends
    expected = 0.5 * np.sin(2 * np.pi * 300 * np.arange(800) / 16_000)
    assert len(wave) == 800
    np.testing.assert_allclose(wave[inside], expected[inside], atol=5e-3)


def test_context_is_of_the_same_video_and_part(folder):
    data = read_mosi(folder, context=True, normalize=False)
    rows = data[:]
    assert data.modalities == ("text", "audio", "text_context", "audio_context")
    contexts = [row.values["text_context"] for row in rows]  # clips 1, 10, 2, 3; 4; 0, 1
    assert contexts == [None, "There is sad stuff</s>But it was fun", "A lot of sad parts",
                        "A lot of sad parts</s>There is sad stuff", None, None,
                        "It is not good"]  # fmt: skip
    assert rows[0].values["audio_context"] is None
    np.testing.assert_array_equal(rows[1].values["audio_context"], rows[3].values["audio"])
    assert data.available[:, 2].tolist() == [False, True, True, True, False, False, True]


def test_chinese_sims_has_labels_by_modality(tmp_path):
    data = read_mosi(sims(tmp_path), labels=("label", "label_T", "label_A"))
    torch.testing.assert_close(data.target, torch.tensor([[-1.0, -0.8, -1.0], [0.2, 0.4, 0.0]]))
    assert [row.values["text"] for row in data] == ["我不想 嫁给李茶", "ABC"]
    assert data.ids == ("video_0001/1", "video_0001/2")


def test_a_batch_for_the_encoders(folder):
    (folder / "wav/03bSnISJMiM/10.wav").unlink()
    data = read_mosi(folder, missing_files="absent", seconds=0.1)
    batch = data.to_batch(data[:3], tokenizer)
    assert batch.available.tolist() == [[True, True], [True, False], [True, True]]
    assert set(batch.features["text"]) == {"input_ids", "attention_mask"}
    assert batch.features["audio"].shape == (3, 1600)
    assert batch.padding["audio"].sum(1).tolist() == [
        800,
        1600,
        800,
    ]  # the absent one has no length
    assert batch.padding["text"].shape == (3, 12)
    assert (batch.task, batch.group.tolist()) == ("regression", [0, 0, 0])
    assert batch.test.tolist() == [False] * 3
    torch.testing.assert_close(batch.target, torch.tensor([0.6, 2.4, -1.2]))


def test_a_batch_needs_a_tokenizer_that_fits(folder):
    data = read_mosi(folder)
    with pytest.raises(ValueError, match="give `tokenizer`"):
        data.to_batch(data[:2])
    with pytest.raises(ValueError, match=r"with 'attention_mask' in it; got \['input_ids'\]"):
        data.to_batch(data[:2], lambda texts: {"input_ids": torch.ones(2, 3)})
    with pytest.raises(ValueError, match=r"tensors of one shape \(2, L\)"):
        data.to_batch(data[:2], lambda texts: {"attention_mask": torch.ones(1, 3)})
    with pytest.raises(ValueError, match="tensors of one shape .* return_tensors='pt'"):
        data.to_batch(data[:2], lambda texts: {"attention_mask": [[1], [1, 1]]})
    with pytest.raises(ValueError, match="`rows` is empty"):
        data.to_batch([])


def test_parts_of_a_dataset(folder):
    data = read_mosi(folder)
    test = data.select(data.splits["test"])
    assert test.ids == ("tStelxIAHjw/0", "tStelxIAHjw/1")
    assert test.group.tolist() == [2, 2]
    assert list(test.splits) == ["test"]
    assert data.select([6, 0]).ids == ("tStelxIAHjw/1", "03bSnISJMiM/1")
    assert data.select(slice(0, 0)).ids == data.select([]).ids == ()
    assert [row.number for row in data[torch.tensor([3, 1])]] == [3, 1]
    assert data[-1].id == "tStelxIAHjw/1"
    with pytest.raises(IndexError):
        data[7]


# -- what is wrong with it ------------------------------------------------------------------------


def refused(folder, **options):
    """Message of the one error, be it that the dataset is opened or that it is decoded."""
    with pytest.raises(DatasetError) as error:
        read_mosi(folder, **options).check()
    return str(error.value)


def test_everything_missing_is_told_at_once(tmp_path):
    text = refused(tmp_path)
    assert "CMU-MOSI (or CMU-MOSEI, CH-SIMS) can not be read from" in text
    assert "label.csv: there is no such file" in text
    assert "wav/<video_id>/<clip_id>.wav" in text
    assert "CMU MultiComp Lab" in text


def test_several_problems_in_one_error(folder):
    (folder / "wav/03bSnISJMiM/10.wav").unlink()
    (folder / "wav/tStelxIAHjw/0.wav").write_bytes(b"")
    rewrite(folder, label="nan")
    text = refused(folder)
    assert "3 problems" in text
    assert "label.csv, line 2: label must be a finite number; got 'nan'" in text
    assert "label.csv, line 3: wav/03bSnISJMiM/10.wav: there is no such file" in text
    assert "label.csv, line 7: wav/tStelxIAHjw/0.wav: it is empty" in text
    assert "`on_error='skip'`" in text


def test_many_problems_are_counted_not_listed(folder):
    write_table(folder / "label.csv", COLUMNS, [("v", i, "x", 0, "train") for i in range(5000)])
    with pytest.raises(DatasetError, match=r"\.\.\. and 990 more") as error:
        read_mosi(folder)
    assert len(error.value.problems) == 1000


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"label": ""}, "label must be a finite number; got ''"),
        ({"label": "1_0"}, "label must be a finite number; got '1_0'"),
        ({"label": "inf"}, "label must be a finite number"),
        ({"label": "1e999"}, "label must be a finite number"),
        ({"label": "4"}, "label must lie between -3 and 3; got 4"),
        ({"label": "1" * 10_000}, "label must be a finite number"),
        ({"clip_id": "1.5"}, "clip_id must be a whole number; got '1.5'"),
        ({"clip_id": "-1"}, "clip_id must be a whole number"),
        ({"clip_id": "9" * 5000}, "clip_id must be a whole number"),
        ({"clip_id": "٣"}, "clip_id must be a whole number"),
        ({"clip_id": "../../x"}, "clip_id must be a whole number"),
        ({"clip_id": "10"}, "line 3: video_id '03bSnISJMiM' with clip_id 10 stands in line 2"),
        ({"text": "  "}, "text is empty"),
        ({"mode": "dev"}, r"mode must be one of \['train', 'valid', 'test'\]; got 'dev'"),
        ({"video_id": ".."}, "is no path within the folder"),
        ({"video_id": "/etc"}, "video_id must be one name; got '/etc'"),
        ({"video_id": "a/b"}, "video_id must be one name"),
        ({"video_id": "C:\\x"}, "is no path within the folder"),
        ({"video_id": ""}, "video_id must be one name"),
        ({"video_id": "x" * 5000}, "is no file name"),
        ({"video_id": "x" * 300}, "it can not be opened: File name too long"),
        ({"video_id": "a\x1b[2Jb"}, r"wav/a\\x1b\[2Jb/1.wav: there is no such file"),
    ],
)  # fmt: skip
def test_wrong_values_are_named_by_line(folder, changes, why):
    rewrite(folder, **changes)
    text = refused(folder)
    assert re.search(why, text), text
    assert "label.csv, line" in text


def test_a_row_that_is_wrong_is_skipped_on_request(folder):
    rewrite(folder, label="nan")
    wav = folder / "wav/tStelxIAHjw/0.wav"
    wav.write_bytes(wav.read_bytes()[:-100])
    data = read_mosi(folder, on_error="skip")
    assert (len(data), data.skipped) == (6, 1)
    rows = data[:]
    assert [row.number for row in rows] == [0, 1, 2, 3, 5]
    assert data.skipped == 2
    data.check()
    data[:]
    assert data.skipped == 2  # each once
    assert [str(p) for p in data.problems] == [
        "label.csv, line 2: label must be a finite number; got 'nan'",
        "label.csv, line 7: wav/tStelxIAHjw/0.wav: its header claims 1644 bytes, it has 1544: it "
        "was cut short",
    ]
    assert "2 rows left out" in repr(data)
    with pytest.raises(DatasetError, match="cut short"):  # asked for alone there is nothing else
        data[4]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "label.csv: it is empty"),
        (b"\xff\xfev\0i\0d\0", "label.csv: it is in UTF-16: save it as UTF-8"),
        (b"video_id,clip_id,text\n", r"its header has no columns \['label', 'mode'\]"),
        (b"video_id,clip_id,text,label,mode,mode\n", "its header names a column twice"),
        (b"video_id,clip_id,text,label,mode\n", "it has no row that can be read"),
        (b'video_id,clip_id,text,label,mode\na,1,"b,0,train\n\n', "a quote that opens in line"),
        (b"\x80\x04\x95", "its header has no columns"),
        (b"video_id,clip_id,text,label,mode\na,1,\xe4,0,train\n", "line 2: it is no text in UTF-8"),
        (b"video_id,clip_id,text,label,mode\na,1,b\0,0,train\n", "line 2: it is no text in UTF-8"),
        (b"video_id,clip_id,text,label,mode\na,1,b,0\n", "line 2: it has 4 fields, the header 5"),
        (b"video_id,clip_id,text,label,mode\na,1," + b"b" * 200_000 + b",0,train\n",
         "line 2: field larger than field limit"),
        (b"video_id,clip_id,text,label,mode\n" + b"b" * 2_000_000, "more than 1000000 characters"),
    ],
)  # fmt: skip
def test_broken_tables(folder, data, why):
    (folder / "label.csv").write_bytes(data)
    assert re.search(why, refused(folder))


def test_a_broken_table_is_not_skipped(folder):
    (folder / "label.csv").write_bytes(b"video_id\n")
    assert "its header has no columns" in refused(folder, on_error="skip")
    assert "`on_error='skip'`" not in refused(folder)


def riff(data=b"\0\0" * 100, *, channels=1, rate=16_000, bits=16, coding=1, claimed=None):
    """A WAV file, built byte by byte."""
    block = channels * bits // 8
    form = struct.pack("<HHIIHH", coding, channels, rate, rate * block & 0xFFFFFFFF, block, bits)
    size = len(data) if claimed is None else claimed
    body = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", size) + data
    return b"RIFF" + struct.pack("<I", len(body) if claimed is None else claimed + 36) + body


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (riff()[:20], "its header claims 244 bytes, it has 20: it was cut short"),
        (riff(claimed=2**32 - 50), "its header claims 4294967290 bytes"),
        (b"", "it is empty"),
        (b"RIFF", "it was cut short"),
        (b"OggS" + bytes(100), "it can not be decoded"),
        (b".snd" + struct.pack(">5I", 24, 4, 3, 16_000, 1) + bytes(4), "it is no plain WAV file"),
        (riff(b""), "it holds no samples"),
        (riff(channels=200), "it claims 200 channels"),
        (riff(channels=0), "it can not be decoded"),
        (riff(rate=2**31), "it can not be decoded|it claims 1 channels at"),
        (riff(rate=100), "it claims 1 channels at 100 Hz"),
        (riff(np.full(9, np.nan, "<f4").tobytes(), bits=32, coding=3), "it holds NaN or infinity"),
        (riff(coding=0x55), "it can not be decoded|no plain WAV"),
        (bytes(10**4), "it can not be decoded"),
    ],
)  # fmt: skip
def test_broken_sound(folder, data, why):
    (folder / "wav/03bSnISJMiM/1.wav").write_bytes(data)
    text = refused(folder)
    assert re.search("label.csv, line 2: wav/03bSnISJMiM/1.wav: ", text)
    assert re.search(why, text), text


def test_links_that_leave_the_folder(folder, tmp_path):
    outside = tmp_path / "outside"
    write_wav(outside / "1.wav", np.zeros(10))
    (folder / "wav/03bSnISJMiM/1.wav").unlink()
    (folder / "wav/03bSnISJMiM/1.wav").symlink_to(outside / "1.wav")
    assert "a symbolic link that leads out of the folder" in refused(folder)
    (folder / "wav/aiEXnCPZubE/4.wav").unlink()
    (folder / "wav/aiEXnCPZubE").rmdir()
    (folder / "wav/aiEXnCPZubE").symlink_to(outside)
    assert "line 6: wav/aiEXnCPZubE/4.wav: it is a symbolic link" in refused(folder)


def test_links_within_the_folder_and_to_it_are_followed(folder, tmp_path):
    (folder / "wav/03bSnISJMiM/1.wav").unlink()
    (folder / "wav/03bSnISJMiM/1.wav").symlink_to("2.wav")
    (tmp_path / "link").symlink_to(folder)
    assert len(read_mosi(tmp_path / "link")[:]) == 7


@pytest.mark.parametrize("kind", ["folder", "pipe", "loop", "unreadable"])
def test_what_is_no_file(folder, kind):
    path = folder / "wav/03bSnISJMiM/1.wav"
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":  # reading it would wait for ever
        os.mkfifo(path)
    elif kind == "loop":
        path.symlink_to("1.wav")
    elif os.geteuid() == 0:
        pytest.skip("this user may read everything")
    else:
        write_wav(path, np.zeros(10))
        path.chmod(0)
    assert re.search(
        "it is no regular file|it can not be opened: Too many levels|it can not be decoded",
        refused(folder),
    )


def test_choices(folder):
    with pytest.raises(ValueError, match="`on_error` must be 'error' or 'skip'; got 'ignore'"):
        read_mosi(folder, on_error="ignore")
    with pytest.raises(ValueError, match="`missing_files` must be 'error' or 'absent'; got 'skip'"):
        read_mosi(folder, missing_files="skip")
    with pytest.raises(ValueError, match="`seconds` must lie between 0 and 600; got nan"):
        read_mosi(folder, seconds=float("nan"))
    assert "its header has no columns ['label_T']" in refused(folder, labels="label_T")
