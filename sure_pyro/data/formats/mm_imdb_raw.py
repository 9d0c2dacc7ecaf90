"""MM-IMDB as its authors give it out: ``split.json`` and a JSON file and a picture for each film.

What `sure_pyro.data.formats.mm_imdb` reads from ``train.jsonl`` and so on is made of these files
here, by the rules of the script that the authors of MMBT made those with: the longest plot is the
text, films of the genre News are left out, and so are films without a plot, and in the other parts
those with a genre that no film of the training part has.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from sure_pyro.data.formats.errors import Problem, UnreadableError, printable
from sure_pyro.data.formats.folder import MB, Folder
from sure_pyro.data.formats.lines import read_json

FILM_LIMIT = 5 * MB
LEFT_OUT = "News"


def raw_films(
    files: Folder, ids: Sequence[str], known: set[str] | None
) -> Iterator[tuple[str, dict[str, Any] | Problem]]:
    """Films of a part, in the form of a line of ``train.jsonl``.

    Parameters
    ----------
    files : Folder
    ids : sequence of str
    known : set of str or None
        Genres that a film may have; any if None.

    Yields
    ------
    file : str
    record : dict, or Problem
    """
    for film_id in ids:
        name = f"dataset/{film_id}.json"
        try:
            record = _record(read_json(files.file(name, FILM_LIMIT)), film_id)
        except UnreadableError as error:
            yield name, Problem(name, str(error))
            continue
        genres = set(record["label"])
        if record["text"] and LEFT_OUT not in genres and (known is None or genres <= known):
            yield name, record


def _record(film: Any, film_id: str) -> dict[str, Any]:
    if not isinstance(film, dict):
        raise UnreadableError(f"it must be a JSON object; got {type(film).__name__}")
    plots, genres = film.get("plot"), film.get("genres")
    if not isinstance(plots, list) or not all(isinstance(plot, str) for plot in plots):
        raise UnreadableError(f"'plot' must be a list of texts; got {printable(ascii(plots), 40)}")
    if not isinstance(genres, list) or not all(isinstance(genre, str) for genre in genres):
        raise UnreadableError(
            f"'genres' must be a list of texts; got {printable(ascii(genres), 40)}"
        )
    text = max(plots, key=len, default="")  # the first of the longest
    return {"id": film_id, "text": text, "img": f"dataset/{film_id}.jpeg", "label": genres}
