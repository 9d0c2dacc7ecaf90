"""MMAct as HAMLET reads it: windows and frames by hand, then everything that can be wrong."""

import re
import shutil

import numpy as np
import pytest
import torch

from sure_pyro.data.formats import DatasetError, read_mmact
from sure_pyro.data.formats.mmact import ACTIONS, SENSORS
from tests.data.formats.small import mmact, write_sensor, write_video

PICTURE = {"resize": 24, "crop": 16, "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return mmact(tmp_path_factory.mktemp("made") / "MMAct")


@pytest.fixture
def folder(made, tmp_path):
    """A copy that a test may spoil."""
    return shutil.copytree(made, tmp_path / "MMAct")


def refused(folder, **options):
    with pytest.raises(DatasetError) as error:
        read_mmact(folder, **PICTURE, **options).check()
    return str(error.value)


# -- what is read ---------------------------------------------------------------------------------


def test_takes_parts_and_classes(made):
    data = read_mmact(made, **PICTURE)
    assert data.modalities == ("rgb", "acc_phone", "acc_watch", "gyro", "orientation")
    assert data.ids == (
        "subject1/scene1/session1/carrying", "subject1/scene1/session2/walking",
        "subject2/scene3/session5/using_phone", "subject17/scene2/session1/walking",
        "subject20/scene1/session5/talking")  # fmt: skip
    assert len(ACTIONS) == len(set(ACTIONS)) == 37
    assert list(ACTIONS) == sorted(ACTIONS)
    names = [data.class_names[y] for y in data.target.tolist()]
    assert names == ["carrying", "walking", "using_phone_desk", "walking", "talking"]
    assert data.available.int().tolist() == [
        [1, 1, 1, 0, 1],
        [1, 1, 0, 1, 1],
        [0, 1, 1, 1, 1],
        [1, 1, 1, 1, 1],
        [1, 1, 1, 1, 1],
    ]
    assert data.task == "classification"
    assert "rgb 4, acc_phone 5, acc_watch 4, gyro 4, orientation 5" in repr(data)


def test_protocols(made):
    by_subject, by_session = read_mmact(made), read_mmact(made, protocol="cross_session")
    assert by_subject.splits["test"].tolist() == [False, False, False, True, True]
    assert by_subject.group.tolist() == [1, 1, 2, 17, 20]
    assert by_session.splits["test"].tolist() == [False, False, True, False, True]
    assert by_session.group.tolist() == [1, 2, 5, 1, 5]


def test_windows_follow_each_other(made):
    x = read_mmact(made, modalities=SENSORS)[0].values["acc_phone"]  # 43 samples
    assert (x.shape, x.dtype) == ((8, 5, 3), np.float32)
    np.testing.assert_array_equal(x[:, :, 0].ravel(), np.arange(40))
    np.testing.assert_array_equal(x[:, :, 1].ravel(), -np.arange(40))
    np.testing.assert_array_equal(x[:, :, 2], 0.5)
    overlapping = read_mmact(made, modalities=SENSORS, stride=2, windows=4)[0].values["acc_phone"]
    assert overlapping[:, 0, 0].tolist() == [0, 2, 4, 6]


def test_every_third_frame(made):
    row = read_mmact(made, **PICTURE)[1]  # eight frames, each of one grey
    x = row.values["rgb"]
    assert x.shape == (3, 3, 16, 16)
    torch.testing.assert_close(x.mean((1, 2, 3)) * 255, torch.tensor([0.0, 30, 60]), atol=4, rtol=0)
    cut = read_mmact(made, **PICTURE, frames=2, frame_stride=1)[1].values["rgb"]
    torch.testing.assert_close(cut.mean((1, 2, 3)) * 255, torch.tensor([0.0, 10]), atol=4, rtol=0)


def test_videos_in_h264(folder):
    write_video(folder / "video/subject1/cam1/scene1/session2/walking.mp4", 9, codec="libx264")
    x = read_mmact(folder, **PICTURE)[1].values["rgb"]
    torch.testing.assert_close(x.mean((1, 2, 3)) * 255, torch.tensor([0.0, 30, 60]), atol=4, rtol=0)


def test_a_file_of_blanks_holds_nothing(made):
    data = read_mmact(made, modalities=SENSORS)
    assert data.available[3].all()  # the file is there
    assert data[3].values["orientation"] is None
    assert not data.to_batch(data[3:4]).available[0, 3]


def test_a_batch_for_the_encoder(made):
    data = read_mmact(made, **PICTURE, windows=6, frames=4)
    batch = data.to_batch(data[:3])
    assert batch.features["rgb"].shape == (3, 4, 3, 16, 16)
    assert batch.features["acc_phone"].shape == (3, 6, 5, 3)
    assert batch.padding["acc_phone"].sum(1).tolist() == [6, 5, 2]
    assert batch.padding["rgb"].sum(1).tolist() == [3, 3, 4]  # the absent one has no length
    assert batch.available.int().tolist() == [[1, 1, 1, 0, 1], [1, 1, 0, 1, 1], [0, 1, 1, 1, 1]]
    assert (batch.group.tolist(), batch.class_names) == ([1, 1, 2], ACTIONS)


# -- what is wrong with it ------------------------------------------------------------------------


def test_folders_that_are_missing_are_told_at_once(tmp_path):
    text = refused(tmp_path)
    for name in ("video/", "acc_phone_clip/", "acc_watch_clip/", "gyro_clip/", "orientation_clip/"):
        assert f"{name}: there is no such folder" in text
    assert "ask for MMAct at its authors (Hitachi" in text
    (tmp_path / "gyro_clip").mkdir()
    assert ".: there is no file of any action" in refused(tmp_path, modalities=["gyro"])


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("gyro_clip/subject1/scene1/session1/dancing.csv", "'dancing' is no action of MMAct"),
        ("gyro_clip/subject1/scene1/walking.csv",
         "it does not lie at subjectN/sceneN/sessionN/<action>.csv"),
        ("gyro_clip/subjectX/scene1/session1/walking.csv", "it does not lie at"),
        ("gyro_clip/subject1/scene1/session1/deeper/walking.csv", None),
        ("gyro_clip/subject1/scene1/session1/walking.mp4", "it does not lie at"),
        ("gyro_clip/subject20/scene1/session5/talking.csv", "it shows the same as gyro_clip/subj"),
        ("video/subject1/scene1/session1/walking.mp4", "it does not lie at subjectN/camN/sceneN"),
        ("gyro_clip/subject1234/scene1/session1/walking.csv", "it does not lie at"),
        ("gyro_clip/subject1/scene1/session1/a\nb.csv", r"a\\nb.csv: it does not lie at"),
    ],
)  # fmt: skip
def test_files_that_lie_elsewhere(folder, name, why):
    write_sensor(folder / name, 10)
    if why is None:  # nothing is looked for below the sessions
        read_mmact(folder, **PICTURE).check()
    else:
        assert re.search(why, refused(folder))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"t,1,2\n" * 9, "line 1: it has 3 fields, expected are ts, x, y, z"),
        (b"t,1,2,3\n" * 4, "it has 4 samples, a window has 5"),
        (b"t,1,2,3\nt,1,nan,3\n" * 9, "line 2: y must be a finite number; got 'nan'"),
        (b"ts,x,y,z\nt,1,2,3\n" * 9, "line 1: x must be a finite number; got 'x'"),
        (b"t,1,2,1e30\n" * 9, "line 1: it is no movement: 1e\\+30"),
        (b"t,1,2,0x10\n" * 9, "line 1: z must be a finite number"),
        (b"t,1,2,\xff\n" * 9, "line 1: z must be a finite number"),
        (b"t;1;2;3\n" * 9, "line 1: it has 1 fields"),
        (b"\0" * 100, "line 1: it has 1 fields"),
        (b"\xff\xfet\0", "it is in UTF-16"),
        (b"1" * 2_000_000, "it has a line of more than 1000000 characters"),
    ],
)  # fmt: skip
def test_broken_sensor_files(folder, data, why):
    (folder / "acc_phone_clip/subject1/scene1/session1/carrying.csv").write_bytes(data)
    text = refused(folder)
    assert ": acc_phone_clip/subject1/scene1/session1/carrying.csv: " in text
    assert re.search(why, text), text


def video(path, cut=slice(None), codec="mpeg4", **changes):
    write_video(path, 9, codec=codec)
    data = bytearray(path.read_bytes()[cut])
    for name, new in changes.items():
        data = data.replace(name.encode(), new)
    return bytes(data)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: b"no video", "it can not be decoded"),
        (lambda path: video(path, slice(None, 400)), "it can not be decoded|no video|no frame"),
        (lambda path: video(path, slice(None, -200)), "not be decoded|no video|no frame|0 x 0"),
        (lambda path: video(path, codec="mpeg2video"), "it is coded as mpeg2video; expected is"),
        (lambda path: video(path, mdat=b"free", vide=b"soun"), "it has no video|not be decoded"),
        (lambda path: b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", "it can not be decoded"),
        (lambda path: b"ffconcat version 1.0\nfile /etc/passwd\n", "it can not be decoded"),
        (lambda path: b"RIFF\0\0\0\0AVI LIST", "it can not be decoded"),
        (lambda path: bytes(5000), "it can not be decoded"),
    ],
)  # fmt: skip
def test_broken_videos(folder, make, why):
    path = folder / "video/subject1/cam1/scene1/session1/carrying.mp4"
    path.write_bytes(make(path))
    text = refused(folder)
    assert re.search("video/subject1/cam1/scene1/session1/carrying.mp4: ", text)
    assert re.search(why, text), text


def test_a_video_that_claims_to_be_huge(folder, monkeypatch):
    monkeypatch.setattr("sure_pyro.data.formats.video.MAX_PIXELS", 1000)
    assert "it claims 32 x 32 pixels, more than 1000 altogether" in refused(folder)


def test_rows_are_skipped_on_request(folder):
    path = folder / "acc_phone_clip/subject1/scene1/session1/carrying.csv"
    path.write_bytes(b"t,1,2\n" * 9)
    write_sensor(folder / "gyro_clip/subject1/scene1/session1/dancing.csv", 9)
    data = read_mmact(folder, **PICTURE, on_error="skip")
    assert (len(data), data.skipped) == (5, 1)
    assert [row.number for row in data] == [1, 2, 3, 4]
    assert data.skipped == 2


def test_a_row_of_which_nothing_is_left(folder):
    for sensor in SENSORS:
        (folder / f"{sensor}_clip/subject2/scene3/session5/using_phone.csv").write_bytes(b"\n")
    assert "no modality is recorded" in refused(folder)
    for sensor in SENSORS:
        (folder / f"{sensor}_clip/subject2/scene3/session5/using_phone.csv").write_bytes(b"")
    assert len(read_mmact(folder, **PICTURE)) == 4


def test_links(folder, tmp_path):
    path = folder / "gyro_clip/subject1/scene1/session2/walking.csv"
    path.unlink()
    path.symlink_to("/etc/passwd")
    assert "it is a symbolic link that leads out of the folder" in refused(folder)
    path.unlink()
    path.symlink_to("../../../../gyro_clip/subject17/scene2/session1/walking.csv")
    read_mmact(folder, **PICTURE).check()
    (folder / "gyro_clip/subject3").symlink_to(tmp_path)
    assert "gyro_clip/subject3: it is a symbolic link that leads out" in refused(folder)
    (folder / "gyro_clip/subject3").unlink()
    (folder / "gyro_clip/subject3").symlink_to("../gyro_clip")  # a circle
    assert len(read_mmact(folder, **PICTURE)) == 5  # ends, and finds nothing new


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"protocol": "random"}, r"`protocol` must be one of \['cross_subject', 'cross_session'\]"),
        ({"modalities": ["rgb", "rgb"]}, "`modalities` must be different ones"),
        ({"modalities": ["depth"]}, "`modalities` must be different ones"),
        ({"modalities": []}, "`modalities` must be different ones"),
        ({"stride": 0}, "`window`, `stride` .* must be positive; got 5, 0 and 200"),
        ({"frames": 10**6}, "`frame_stride` and `frames` must be positive, at most 1000"),
    ],
)
def test_choices(made, options, why):
    with pytest.raises(ValueError, match=why):
        read_mmact(made, **options)
