"""MM-IMDB: plots and posters of films, with their genres, as MMBT reads it.

Arevalo, Solorio, Montes-y-Gomez, Gonzalez (2017), Gated Multimodal Units; Kiela et al. (2019),
Supervised Multimodal Bitransformers.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image
from torch import Tensor

from sure_pyro.data.formats.dataset import Entry, RawDataset
from sure_pyro.data.formats.errors import Findings, Format, Problem, UnreadableError, printable
from sure_pyro.data.formats.folder import TEXT_LIMIT, Folder
from sure_pyro.data.formats.images import IMAGE_LIMIT, Look, Pictures, as_tensor
from sure_pyro.data.formats.lines import is_text, read_json, read_json_lines
from sure_pyro.data.formats.mm_imdb_raw import raw_films
from sure_pyro.data.formats.modality import Modality
from sure_pyro.data.formats.text import Text

PARTS = {"train": "train", "dev": "validation", "test": "test"}
SPLIT = "split.json"
MAX_LABELS = 200

MMBT_MEAN = (0.46777044, 0.44531429, 0.40661017)
MMBT_STD = (0.12221994, 0.12145835, 0.14380469)
"""What the posters are normalised with by MMBT."""
MMBT_LOOK = Look(256, 224, MMBT_MEAN, MMBT_STD)

FORM = Format(
    "MM-IMDB",
    'train.jsonl, dev.jsonl, test.jsonl   a line each film: {"id", "text", "img" (or "image"),\n'
    '                                     "label": [genres]}; "img" within the folder, or null\n'
    "split.json                           if it is there: {part: [ids]}, as given out\n"
    "or, as given out: split.json, dataset/<id>.json and dataset/<id>.jpeg",
    "MM-IMDB is given out by its authors (Arevalo et al., Gated Multimodal Units); the script "
    "scripts/mmimdb.py of the MMBT repository writes the three files from it. Films without a "
    "poster: `missing_files='absent'` (on the command line `--missing-files absent`).",
)


class Film(NamedTuple):
    """A line that is right, but that its labels have no numbers yet."""

    file: str
    line: int | None
    id: str
    text: str | None
    image: str | None
    labels: tuple[str, ...]
    part: str


def read_mm_imdb(
    folder: str | Path,
    *,
    mean: Sequence[float] = MMBT_MEAN,
    std: Sequence[float] = MMBT_STD,
    resize: int = 256,
    crop: int = 224,
    process: Callable[[Image.Image], Tensor] | None = None,
    test: str = "test.jsonl",
    missing_files: str = "error",
    on_error: str = "error",
) -> RawDataset:
    """Open MM-IMDB: text and image of films, with their genres.

    Parameters
    ----------
    folder : path
        With ``train.jsonl``, ``dev.jsonl`` and ``test.jsonl``, and pictures where they say; or,
        where none of these is there, with ``split.json`` and ``dataset/`` as given out.
    mean, std : sequence of three float
        Red, green and blue, between 0 and 1, are normalised with; those of MMBT by default.
    resize, crop : int
        Pixels that the shorter side gets, and that are kept of the middle.
    process : callable, optional
        From a decoded picture, in red, green and blue, to a tensor ``(3, H, W)`` of one shape, such
        as a model's own image processor; in place of `mean`, `std`, `resize` and `crop`.
    test : str
        File of the test part; MMBT also has ``test_hard_gt.jsonl``.
    missing_files : {"error", "absent"}
        What a picture that is not there means: an error, or that its row has none. A row in which
        ``img`` is null has none in any case, and one in which ``text`` is null has no text.
    on_error : {"error", "skip"}
        Whether rows that can not be read are an error, or left out and counted.

    Returns
    -------
    RawDataset
        Multi-label; the classes are in the order in which they first appear in ``train.jsonl``.

    Raises
    ------
    DatasetError
        If files are not there, or rows can not be read: with all of them.
    ValueError
        If an option makes no sense, or `process` gives pictures of several shapes.

    Notes
    -----
    Memory: the tables, and for every decoded row one picture; pictures that claim more than
    32 megapixels are refused before they are decoded.
    """
    if missing_files not in ("error", "absent"):
        raise ValueError(f"`missing_files` must be 'error' or 'absent'; got {missing_files!r}.")
    look = Look(resize, crop, tuple(mean), tuple(std))
    if process is not None and look != MMBT_LOOK:
        raise ValueError(
            "Give either `process` or `mean`, `std`, `resize` and `crop`; got both, and `process` "
            "alone says what becomes of a picture."
        )
    pictures = Pictures(Folder(folder), process or partial(as_tensor, look=look.check()))
    reading = Reading(Folder(folder), Findings(FORM, folder, on_error), missing_files == "absent")
    files = {"train": "train.jsonl", "dev": "dev.jsonl", "test": test}
    films = [film for part, name in files.items() for film in reading.films(name, part)]
    reading.check_labels()
    if reading.findings.whole:
        reading.findings.settle()
    entries = [entry for film in films if (entry := reading.entry(film)) is not None]
    if not entries:
        reading.findings.whole.append(Problem("train.jsonl", "no row can be read"))
    reading.findings.settle()
    modalities: dict[str, Modality] = {"text": Text(), "image": pictures}
    return RawDataset(entries, modalities, reading.findings, "multilabel", list(reading.labels))


class Reading:
    """What is known while the files are read, one after the other.

    Attributes
    ----------
    labels : dict of int
        Numbers of the labels, in the order in which they came in the training part.
    """

    def __init__(self, files: Folder, findings: Findings, may_lack: bool):
        self.files, self.findings, self.may_lack = files, findings, may_lack
        self.labels: dict[str, int] = {}
        self._seen: dict[str, str] = {}
        self._part_of = self._read_split()
        lines = [f"{part}.jsonl" for part in PARTS]
        self._raw = bool(self._part_of) and not any((files.path / name).exists() for name in lines)

    def films(self, name: str, part: str) -> list[Film]:
        """Films of a file; what is wrong is entered in the findings."""
        films = []
        try:
            for file, line, record in self._records(name, part):
                if isinstance(record, Problem):
                    self.findings.row(record)
                    continue
                try:
                    films.append(self._film(record, file, line, part))
                except UnreadableError as error:
                    self.findings.row(Problem(file, str(error), line))
        except UnreadableError as error:
            self.findings.whole.append(Problem(name, str(error)))
        return films

    def _records(self, name: str, part: str) -> Iterator[tuple[str, int | None, Any]]:
        """Records of a part, each with its file and line."""
        if self._raw:
            ids = [film_id for film_id, official in self._part_of.items() if official == part]
            known = None if part == "train" else set(self.labels)
            yield from ((file, None, r) for file, r in raw_films(self.files, ids, known))
        else:
            lines = read_json_lines(self.files.file(name, TEXT_LIMIT), name)
            yield from ((name, line, record) for line, record in lines)

    def check_labels(self) -> None:
        """Enter it in the findings if there are no labels, or far too many."""
        if not 0 < len(self.labels) <= MAX_LABELS and not self.findings.whole:
            why = f"it has {len(self.labels)} different labels; expected are 1 to {MAX_LABELS}"
            self.findings.whole.append(Problem("train.jsonl", why))

    def entry(self, film: Film) -> Entry | None:
        """Row of a film; None, and a finding, if the training part does not know its labels."""
        unknown = [label for label in film.labels if label not in self.labels]
        if unknown:
            why = f"label {printable(unknown[0], 40)!r} does not occur in train.jsonl"
            self.findings.row(Problem(film.file, why, film.line))
            return None
        numbers = tuple(sorted({self.labels[label] for label in film.labels}))
        sources = {"text": film.text, "image": film.image}
        return Entry(film.id, film.file, film.line, PARTS[film.part], numbers, sources)

    def _read_split(self) -> dict[str, str]:
        """Part of every id by the official file, where it is there."""
        try:
            if not self.files.inside(SPLIT).exists():
                return {}
            return _parts(read_json(self.files.file(SPLIT, TEXT_LIMIT)))
        except UnreadableError as error:
            self.findings.whole.append(Problem(SPLIT, str(error)))
            return {}

    def _film(self, record: Mapping[str, Any], name: str, line: int | None, part: str) -> Film:
        labels = _labels(record.get("label"))
        if part == "train" and len(self.labels) <= MAX_LABELS:  # also if the rest is wrong
            for label in labels:
                self.labels.setdefault(label, len(self.labels))
        film_id, text = _id(record.get("id")), _text(record)
        self._check_part(film_id, part)
        image = self._image(record)
        if text is None and image is None:
            raise UnreadableError("it has neither text nor image")
        self._seen[film_id] = name if line is None else f"{name}, line {line}"
        return Film(name, line, film_id, text, image, labels, part)

    def _check_part(self, film_id: str, part: str) -> None:
        if film_id in self._seen:
            raise UnreadableError(f"id {film_id!r} stands in {self._seen[film_id]} already")
        official = self._part_of.get(film_id, None if self._part_of else part)
        if official != part:
            where = "no part" if official is None else f"part {official!r}"
            raise UnreadableError(f"id {film_id!r} belongs to {where} by {SPLIT}")

    def _image(self, record: Mapping[str, Any]) -> str | None:
        keys = [key for key in ("img", "image") if key in record]
        if len(keys) != 1:
            raise UnreadableError("it needs one of 'img' and 'image', if only with null")
        name = record[keys[0]]
        if name is None:
            return None
        if not isinstance(name, str):
            raise UnreadableError(f"{keys[0]!r} must be a path or null; got {name!r:.40}")
        try:
            if self.may_lack and not self.files.inside(name).exists():
                return None
            self.files.file(name, IMAGE_LIMIT)
        except UnreadableError as error:
            raise UnreadableError(f"{printable(name)}: {error}") from error
        return name


def _id(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or len(str(value)) > 100:
        raise UnreadableError(f"'id' must be a text or a whole number; got {value!r:.40}")
    if not str(value) or not is_text(str(value)):
        raise UnreadableError("'id' is empty, or no text")
    return str(value)


def _text(record: Mapping[str, Any]) -> str | None:
    if "text" not in record:
        raise UnreadableError("it needs 'text', if only with null")
    text = record["text"]
    if text is None:
        return None
    if not isinstance(text, str) or not is_text(text):
        raise UnreadableError(f"'text' must be a text or null; got {text!a:.40}")
    if not text.strip():
        raise UnreadableError("'text' is empty; null says that there is none")
    return text


def _labels(value: Any) -> tuple[str, ...]:
    usable = isinstance(value, list) and 0 < len(value) <= MAX_LABELS
    if not usable or not all(isinstance(v, str) and 0 < len(v) <= 100 for v in value):
        raise UnreadableError(f"'label' must be a list of genres; got {value!a:.40}")
    if not all(map(is_text, value)):
        raise UnreadableError("'label' is no text")
    return tuple(value)


def _parts(split: Any) -> dict[str, str]:
    if not isinstance(split, dict) or not all(isinstance(ids, list) for ids in split.values()):
        raise UnreadableError("it must be an object of lists of ids, one for each part")
    part_of: dict[str, str] = {}
    for part, ids in split.items():
        for value in ids:
            if part_of.setdefault(_id(value), part) != part:
                raise UnreadableError(f"id {_id(value)!r} stands in two parts")
    return part_of
