"""Files of a dataset, by names that stand in the dataset: none leads out of its folder.

Names in tables are data. A file is opened only if its name is relative, stays within the folder
after every symbolic link is followed, and belongs to a regular file that is neither empty nor
larger than what the format can sensibly hold.
"""

import os
import stat
from pathlib import Path

from sure_pyro.data.formats.errors import UnreadableError, printable

MB = 10**6
TEXT_LIMIT = 100 * MB  # of a table; the largest of these datasets has some 20 MB


class Folder:
    """The folder of a dataset.

    Parameters
    ----------
    path : path
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.root = os.path.realpath(self.path)

    def file(self, name: str, limit: int) -> Path:
        """Path of a file that may be opened.

        Parameters
        ----------
        name : str
            Relative to the folder, with forward slashes.
        limit : int
            Largest size in bytes.

        Raises
        ------
        UnreadableError
            If the name leads elsewhere, or there is no such file, or it is empty or too large.
        """
        path = self.inside(name)
        try:
            status = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            raise UnreadableError("there is no such file") from None
        except OSError as error:
            raise UnreadableError(f"it can not be opened: {error.strerror}") from error
        if not stat.S_ISREG(status.st_mode):  # a pipe would never end
            raise UnreadableError("it is no regular file")
        if status.st_size == 0:
            raise UnreadableError("it is empty")
        if status.st_size > limit:
            raise UnreadableError(
                f"it has {status.st_size / MB:,.0f} MB; files of this kind have at most "
                f"{limit / MB:,.0f} MB"
            )
        return path

    def inside(self, name: str) -> Path:
        """Path of a name within the folder, whether there is such a file or not.

        Raises
        ------
        UnreadableError
            If the name, or a symbolic link on its way, leads out of the folder.
        """
        if not name or "\0" in name or len(name) > 1000:
            raise UnreadableError(f"{printable(name, 40)!r} is no file name")
        if name.startswith("/") or "\\" in name or ".." in name.split("/"):
            raise UnreadableError(
                f"{printable(name)!r} is no path within the folder of the dataset"
            )
        path = os.path.join(self.root, name)
        try:
            target = os.path.realpath(path)
        except (OSError, UnicodeError, ValueError) as error:
            raise UnreadableError(f"{printable(name)!r} is no file name: {error}") from error
        if os.path.commonpath([self.root, target]) != self.root:
            raise UnreadableError(
                "it is a symbolic link that leads out of the folder of the dataset; put the file "
                "itself there"
            )
        return Path(target)
