"""Nothing follows a link out of a directory that may come from anywhere."""

import os
from pathlib import Path

from hessdiag.errors import UsageError
from hessdiag.record.atomic import FOLDERS


def refuse_links(directory: Path) -> None:
    """Refuse a directory in which something is a link, a pipe or a device.

    Raises:
        UsageError: the first such thing.
    """
    for folder in (directory / name for name in FOLDERS):
        if not folder.is_dir():
            continue
        with os.scandir(folder) as entries:
            for entry in entries:
                plain = entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)
                if not plain:
                    what = "a link" if entry.is_symlink() else "no file"
                    raise UsageError(f"{entry.path}: {what}; allowed: files and folders")
