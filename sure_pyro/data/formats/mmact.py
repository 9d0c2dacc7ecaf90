"""MMAct: videos and motion sensors of people in daily actions, as HAMLET reads them.

Kong, Wu, Deng, Klinkigt, Tong, Murakami (2019), MMAct: A Large-Scale Dataset for Cross Modal Human
Action Understanding.
"""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from sure_pyro.data.formats.dataset import Entry, RawDataset
from sure_pyro.data.formats.errors import Findings, Format, Problem, UnreadableError, printable
from sure_pyro.data.formats.folder import Folder
from sure_pyro.data.formats.images import Look
from sure_pyro.data.formats.lines import MAX_ROWS
from sure_pyro.data.formats.modality import Modality
from sure_pyro.data.formats.sensors import SENSOR_LIMIT, Windows
from sure_pyro.data.formats.video import VIDEO_LIMIT, Frames

SENSORS = ("acc_phone", "acc_watch", "gyro", "orientation")
MODALITIES = ("rgb", *SENSORS)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

ACTIONS = (
    "carrying",
    "carrying_heavy",
    "carrying_light",
    "checking_time",
    "closing",
    "crouching",
    "drinking",
    "entering",
    "exiting",
    "fall",
    "jumping",
    "kicking",
    "loitering",
    "looking_around",
    "opening",
    "picking_up",
    "pocket_in",
    "pocket_out",
    "pointing",
    "pulling",
    "pushing",
    "running",
    "setting_down",
    "sitting",
    "sitting_down",
    "standing",
    "standing_up",
    "talking",
    "talking_on_phone",
    "talking_on_phone_desk",
    "throwing",
    "transferring_object",
    "using_pc",
    "using_phone",
    "using_phone_desk",
    "walking",
    "waving_hand",
)
"""The 37 classes, in order; files bear 35 names."""

DESK = 3  # scene in which two actions are classes of their own: "using_phone" becomes "..._desk"
TEST = {"cross_subject": ("subject", range(17, 21)), "cross_session": ("session", range(5, 6))}
FOLDERS = {"rgb": ("subject", "cam", "scene", "session"), "csv": ("subject", "scene", "session")}

FORM = Format(
    "MMAct",
    "acc_phone_clip/subjectN/sceneN/sessionN/<action>.csv   no header; ts, x, y, z at 100 Hz\n"
    "acc_watch_clip/...                                     at 100 Hz\n"
    "gyro_clip/...                                          at 50 Hz\n"
    "orientation_clip/...                                   at 50 Hz\n"
    "video/subjectN/camN/sceneN/sessionN/<action>.mp4       where `modalities` has 'rgb'",
    "ask for MMAct at its authors (Hitachi; Kong et al., ICCV 2019): the trimmed videos and the "
    "archives acc_phone_clip, acc_watch_clip, gyro_clip and orientation_clip.",
)


class Take(NamedTuple):
    """One performance of an action."""

    subject: int
    scene: int
    session: int
    action: str

    @property
    def label(self) -> str:
        """Name of its class."""
        desk = f"{self.action}_desk"
        return desk if self.scene == DESK and desk in ACTIONS else self.action

    @property
    def id(self) -> str:
        """Name of its row."""
        return f"subject{self.subject}/scene{self.scene}/session{self.session}/{self.action}"


def read_mmact(
    folder: str | Path,
    *,
    protocol: str = "cross_subject",
    modalities: Sequence[str] = MODALITIES,
    camera: int = 1,
    window: int = 5,
    stride: int = 5,
    windows: int = 200,
    frame_stride: int = 3,
    frames: int = 32,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
    resize: int = 256,
    crop: int = 224,
    on_error: str = "error",
) -> RawDataset:
    """Open MMAct: frames and sensor windows of actions.

    Parameters
    ----------
    folder : path
    protocol : {"cross_subject", "cross_session"}
        The test part: subjects 17 to 20, or session 5. Groups are subjects, or sessions, so that a
        validation part cut from the rest is as far from it as the test part is.
    modalities : sequence of {"rgb", "acc_phone", "acc_watch", "gyro", "orientation"}
        In the order of the columns of `available`.
    camera : int
        Of the videos.
    window, stride, windows : int
        Samples of a window, from one window to the next, and how many windows a row has: longer
        recordings are cut.
    frame_stride, frames : int
        Every how many frames one is taken, and how many frames a row has.
    mean, std, resize, crop
        As in `read_mm_imdb`; those of ImageNet by default.
    on_error : {"error", "skip"}
        Whether rows that can not be read are an error, or left out and counted.

    Returns
    -------
    RawDataset
        Classification into `ACTIONS`. A sensor file or video that is missing or empty means that
        the modality is absent in its row.

    Raises
    ------
    DatasetError
        If folders are not there, or rows can not be read: with all of them.

    Notes
    -----
    Memory: a few hundred bytes a file, and what `windows` and `frames` need of every decoded row:
    600 kB a frame of 224 pixels.
    """
    _check_choices(protocol, modalities)
    files, findings = Folder(folder), Findings(FORM, folder, on_error)
    look = Look(resize, crop, tuple(mean), tuple(std))
    readers: dict[str, Modality] = {
        name: Frames(files, look, frame_stride, frames)
        if name == "rgb"
        else Windows(files, window, stride, windows)
        for name in modalities
    }
    takes = _takes(files, modalities, camera, findings)
    if not takes and not findings.whole:
        findings.whole.append(Problem(".", "there is no file of any action"))
    findings.settle()
    entries = [_entry(take, takes[take], modalities, protocol) for take in sorted(takes)]
    return RawDataset(entries, readers, findings, "classification", ACTIONS, grouped=True)


def _check_choices(protocol: str, modalities: Sequence[str]) -> None:
    if protocol not in TEST:
        raise ValueError(f"`protocol` must be one of {list(TEST)}; got {protocol!r}.")
    unknown = [name for name in modalities if name not in MODALITIES]
    if unknown or not modalities or len(set(modalities)) < len(modalities):
        raise ValueError(f"`modalities` must be different ones of {MODALITIES}; got {modalities}.")


def _takes(
    files: Folder, modalities: Sequence[str], camera: int, findings: Findings
) -> dict[Take, dict[str, str]]:
    """Files of every take, by modality."""
    takes: dict[Take, dict[str, str]] = {}
    for modality in modalities:
        top = "video" if modality == "rgb" else f"{modality}_clip"
        names = FOLDERS["rgb" if modality == "rgb" else "csv"]
        suffix, limit = (".mp4", VIDEO_LIMIT) if modality == "rgb" else (".csv", SENSOR_LIMIT)
        for name in _walk(files, top, len(names), findings):
            try:
                take = _take(name, names, suffix, camera)
                if take is not None:
                    _enter(takes.setdefault(take, {}), modality, name, files, limit)
            except UnreadableError as error:
                findings.row(Problem(name, str(error)))
    return {take: sources for take, sources in takes.items() if sources}


def _walk(files: Folder, top: str, depth: int, findings: Findings) -> Iterator[str]:
    """Names of the files `depth` folders below `top`, and of those that lie elsewhere."""
    if not (files.path / top).is_dir():
        findings.whole.append(Problem(f"{top}/", "there is no such folder"))
        return
    count = 0
    folders = [(top, 0)]
    while folders:
        folder, level = folders.pop()
        for name in _names(files, folder, findings):
            count += 1
            if count > MAX_ROWS:
                findings.whole.append(Problem(f"{top}/", f"it has more than {MAX_ROWS} files"))
                return
            if level < depth and os.path.isdir(os.path.join(files.root, folder, name)):
                folders.append((f"{folder}/{name}", level + 1))
            elif name.lower().endswith((".csv", ".mp4")):
                yield f"{folder}/{name}"


def _names(files: Folder, folder: str, findings: Findings) -> list[str]:
    try:
        return sorted(os.listdir(files.inside(folder)))
    except UnreadableError as error:
        findings.row(Problem(folder, str(error)))
    except OSError as error:
        findings.row(Problem(folder, f"it can not be opened: {error.strerror}"))
    return []


def _take(name: str, names: Sequence[str], suffix: str, camera: int) -> Take | None:
    """What a file shows, from its name; None if it is of another camera."""
    pattern = "/".join(rf"{folder}(?P<{folder}>\d{{1,3}})" for folder in names)
    _, _, rest = name.partition("/")
    match = re.fullmatch(rf"{pattern}/(?P<action>\w{{1,40}}){re.escape(suffix)}", rest, re.ASCII)
    if match is None:
        expected = "/".join(f"{folder}N" for folder in names)
        raise UnreadableError(f"it does not lie at {expected}/<action>{suffix}")
    if "cam" in names and int(match["cam"]) != camera:
        return None
    action = match["action"].lower()
    if action not in ACTIONS:
        raise UnreadableError(f"{printable(action)!r} is no action of MMAct")
    return Take(int(match["subject"]), int(match["scene"]), int(match["session"]), action)


def _enter(sources: dict[str, str], modality: str, name: str, files: Folder, limit: int) -> None:
    if modality in sources:
        raise UnreadableError(f"it shows the same as {printable(sources[modality])}")
    path = files.inside(name)
    if not (path.is_file() and path.stat().st_size == 0):  # an empty file: nothing was recorded
        files.file(name, limit)
        sources[modality] = name


def _entry(take: Take, sources: dict[str, str], modalities: Sequence[str], protocol: str) -> Entry:
    what, test = TEST[protocol]
    group = getattr(take, what)
    return Entry(
        take.id,
        take.id,  # in errors; the file is named in the reason
        None,
        "test" if group in test else "train",
        ACTIONS.index(take.label),
        {name: sources.get(name) for name in modalities},
        group,
    )
