"""An SQLite file beside the runs, which is open no longer than one piece of work takes."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from arasuji.errors import StorageError
from arasuji.files import make_folder

T = TypeVar("T")


class Database:
    """The file, which may be copied, replaced or deleted at any time between two pieces of work."""

    def __init__(self, path: Path, schema: str) -> None:
        """`schema` makes the tables where they are not there yet. Nothing is written before the first `do`."""
        self.path, self.schema = path, schema
        self._lock = threading.Lock()

    def do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do a piece of work as a whole, or nothing of it: it is on the disk when this returns.

        Raises:
            StorageError: the disk is full, or the file is damaged.
        """
        with self._lock:
            try:
                make_folder(self.path.parent)
                connection = sqlite3.connect(self.path, timeout=10)
            except (OSError, sqlite3.Error) as error:
                raise StorageError(f"{self.path} cannot be opened: {error}") from error
            try:
                connection.row_factory = sqlite3.Row
                # A deleted journal may come back after a power loss and undo what was done last; an emptied one cannot.
                connection.execute("PRAGMA journal_mode = TRUNCATE")
                with connection:
                    connection.execute(self.schema)
                    return work(connection)
            except sqlite3.Error as error:
                raise StorageError(f"{self.path}: {error}; move it away where it is damaged") from error
            finally:
                connection.close()
