"""CMU-MOSI, CMU-MOSEI and CH-SIMS as MMML reads them: one table, and a WAV file per clip.

Wu, Gong, Koo, Hirschberg (2024), Multimodal Multi-loss Fusion Network for Sentiment Analysis.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from sure_pyro.data.formats.audio import WAV_LIMIT, Sound
from sure_pyro.data.formats.dataset import Entry, RawDataset
from sure_pyro.data.formats.errors import Findings, Format, Problem, UnreadableError, printable
from sure_pyro.data.formats.folder import TEXT_LIMIT, Folder
from sure_pyro.data.formats.lines import Record, read_table, real_number, whole_number
from sure_pyro.data.formats.modality import Modality
from sure_pyro.data.formats.text import Text

TABLE = "label.csv"
COLUMNS = ("video_id", "clip_id", "text", "label", "mode")
PARTS = {"train": "train", "valid": "validation", "test": "test"}
LARGEST = 3.0  # sentiment runs from -3 to 3 (SIMS: from -1 to 1)
SEPARATOR = "</s>"  # of RoBERTa: what MMML joins the texts of a context with

FORM = Format(
    "CMU-MOSI (or CMU-MOSEI, CH-SIMS)",
    "label.csv                      video_id, clip_id, text, label, mode (train, valid, test);\n"
    "                               CH-SIMS also label_T, label_A\n"
    "wav/<video_id>/<clip_id>.wav   16 kHz; CH-SIMS writes clip_id with four digits",
    "ask for CMU-MOSI or CMU-MOSEI at the CMU MultiComp Lab (CMU Multimodal SDK), or for CH-SIMS "
    "at THUIAR (MMSA); MMSA gives out label.csv with the clips, from which the script "
    "extract_audio.py of the MMML repository writes the WAV files. Clips without sound: "
    "`missing_files='absent'` (on the command line `--missing-files absent`).",
)


class Clip(NamedTuple):
    """A line of the table that is right."""

    line: int
    video: str
    number: int
    text: str
    labels: tuple[float, ...]
    part: str
    wav: str | None  # None where there is none


def read_mosi(
    folder: str | Path,
    *,
    labels: str | Sequence[str] = "label",
    context: bool = False,
    seconds: float = 6.0,
    resample: bool = False,
    normalize: bool = True,
    missing_files: str = "error",
    on_error: str = "error",
) -> RawDataset:
    """Open CMU-MOSI, CMU-MOSEI or CH-SIMS: text and sound of clips, with their sentiment.

    Parameters
    ----------
    folder : path
        With ``label.csv`` and ``wav/``.
    labels : str or sequence of str
        Columns of the target; ``("label", "label_T", "label_A")`` for CH-SIMS.
    context : bool
        Two more modalities, ``text_context`` and ``audio_context``: the two texts before, joined by
        ``</s>``, and the one clip before, in the same video and the same part. The first clip of a
        video has neither: they are absent there.
    seconds : float
        Clips are cut after these, and filled up to them.
    resample : bool
        Convert files that are not at 16 kHz; they are refused otherwise.
    normalize : bool
        Sound of mean 0 and variance 1 per clip.
    missing_files : {"error", "absent"}
        What a WAV file that is not there means: an error, or that its row has no sound.
    on_error : {"error", "skip"}
        Whether rows that can not be read are an error, or left out and counted.

    Returns
    -------
    RawDataset
        Regression; grouped by video. The first character of a text is kept and the others are
        lower-cased, but not those of CH-SIMS.

    Raises
    ------
    DatasetError
        If files or columns are not there, or rows can not be read: with all of them.

    Notes
    -----
    Memory: the table, and for every decoded row `seconds` of sound; see `Sound`.
    """
    columns = [labels] if isinstance(labels, str) else list(labels)
    if missing_files not in ("error", "absent"):
        raise ValueError(f"`missing_files` must be 'error' or 'absent'; got {missing_files!r}.")
    if not 0 < seconds <= 600:
        raise ValueError(f"`seconds` must lie between 0 and 600; got {seconds}.")
    findings, files = Findings(FORM, folder, on_error), Folder(folder)
    clips = _clips(files, columns, missing_files == "absent", findings)
    if not clips and not findings.whole:
        findings.whole.append(Problem(TABLE, "it has no row that can be read"))
    findings.settle()
    sound = Sound(files, seconds, 16_000, resample, normalize)
    modalities: dict[str, Modality] = {"text": Text(), "audio": sound}
    if context:
        modalities |= {"text_context": Text(), "audio_context": sound}
    entries = _entries(clips, context)
    return RawDataset(entries, modalities, findings, "regression", grouped=True)


def _clips(files: Folder, columns: Sequence[str], may_lack: bool, findings: Findings) -> list[Clip]:
    """Right lines of the table; the others are entered in the findings."""
    clips: dict[tuple[str, int], Clip] = {}
    try:
        table = files.file(TABLE, TEXT_LIMIT)
        for line, record in read_table(table, TABLE, list(dict.fromkeys([*COLUMNS, *columns]))):
            if isinstance(record, Problem):
                findings.row(record)
                continue
            try:
                clip = _clip(record, line, columns, files, may_lack)
                _check_new(clip, clips)
            except UnreadableError as error:
                findings.row(Problem(TABLE, str(error), line))
            else:
                clips[clip.video, clip.number] = clip
    except UnreadableError as error:
        findings.whole.append(Problem(TABLE, str(error)))
    return list(clips.values())


def _clip(record: Record, line: int, columns: Sequence[str], files: Folder, may_lack: bool) -> Clip:
    video, number = record["video_id"], whole_number(record["clip_id"], "clip_id")
    if not video.strip() or "/" in video:
        raise UnreadableError(f"video_id must be one name; got {printable(video, 40)!r}")
    if not record["text"].strip():
        raise UnreadableError("text is empty")
    if record["mode"] not in PARTS:
        raise UnreadableError(
            f"mode must be one of {list(PARTS)}; got {printable(record['mode'], 40)!r}"
        )
    wav = _wav(files, video, number, sims="label_T" in record, may_lack=may_lack)
    targets = tuple(_label(record[column], column) for column in columns)
    text = record["text"] if "label_T" in record else _lower(record["text"])
    return Clip(line, video, number, text, targets, PARTS[record["mode"]], wav)


def _wav(files: Folder, video: str, number: int, *, sims: bool, may_lack: bool) -> str | None:
    """Name of a clip's file; None where there is none and that is allowed."""
    name = f"wav/{video}/{number:04d}.wav" if sims else f"wav/{video}/{number}.wav"
    try:
        if may_lack and not files.inside(name).exists():
            return None
        files.file(name, WAV_LIMIT)
    except UnreadableError as error:
        raise UnreadableError(f"{printable(name)}: {error}") from error
    return name


def _label(text: str, column: str) -> float:
    value = real_number(text, column)
    if abs(value) > LARGEST:
        raise UnreadableError(
            f"{column} must lie between {-LARGEST:g} and {LARGEST:g}; got {value:g}"
        )
    return value


def _lower(text: str) -> str:
    return text[0] + text[1:].lower()


def _check_new(clip: Clip, clips: dict[tuple[str, int], Clip]) -> None:
    first = clips.get((clip.video, clip.number))
    if first is not None:
        raise UnreadableError(
            f"video_id {printable(clip.video, 40)!r} with clip_id {clip.number} stands in line "
            f"{first.line} already"
        )


def _entries(clips: Iterable[Clip], context: bool) -> list[Entry]:
    clips = list(clips)
    groups = {video: i for i, video in enumerate(sorted({clip.video for clip in clips}))}
    before = _before(clips)
    entries = []
    for clip in clips:
        sources = {"text": clip.text, "audio": clip.wav}
        if context:
            sources |= _context(before[clip])
        target = clip.labels if len(clip.labels) > 1 else clip.labels[0]
        name, group = f"{clip.video}/{clip.number}", groups[clip.video]
        entries.append(Entry(name, TABLE, clip.line, clip.part, target, sources, group))
    return entries


def _before(clips: Sequence[Clip]) -> dict[Clip, list[Clip]]:
    """The two clips before each one in its video and part, in their order."""
    videos: dict[tuple[str, str], list[Clip]] = defaultdict(list)
    for clip in sorted(clips, key=lambda clip: clip.number):
        videos[clip.video, clip.part].append(clip)
    return {clip: of[max(i - 2, 0) : i] for of in videos.values() for i, clip in enumerate(of)}


def _context(before: Sequence[Clip]) -> dict[str, str | None]:
    if not before:
        return {"text_context": None, "audio_context": None}
    texts = [clip.text for clip in before]
    return {"text_context": SEPARATOR.join(texts), "audio_context": before[-1].wav}
