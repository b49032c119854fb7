"""Read a trail from its file: what is there, and what is added later, also after the file was rotated."""

import os
import time
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path

LOOKED_EVERY_SECONDS = 0.25
PIECE = 1 << 16
LONGEST_LINE = 1 << 20
"""What is longer without an end is no line of a trail; it is handed on in pieces."""


class TrailReader:
    """The lines of one file, and of those that take its name."""

    def __init__(self, path: Path, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._path = path
        self._sleep = sleep

    def lines(self, *, follow: bool = False) -> Iterator[bytes]:
        """Yield each line without its end; when following, wait for more, for ever. Raises `OSError`."""
        file = self._path.open("rb")
        while True:
            with file:
                yield from self._lines_of(file, follow=follow)
            if not follow:
                return
            file = self._awaited()

    def _lines_of(self, file: BufferedReader, *, follow: bool) -> Iterator[bytes]:
        """Yield the lines of an open file until its end; when following, until another took its name."""
        rest = b""
        while True:
            # Asked before reading: what was written before the file lost its name is read to its end.
            is_current = follow and self._is_current(file)
            if not is_current and follow:
                # A writer that is about to write to the old file is done by then.
                self._sleep(LOOKED_EVERY_SECONDS)
            # Of a FIFO `read` would wait until a whole piece had come.
            while piece := file.read1(PIECE):
                *whole, rest = (rest + piece).split(b"\n")
                yield from whole
                if len(rest) > LONGEST_LINE:
                    yield rest
                    rest = b""
            if not is_current:
                break
            if file.seekable() and os.fstat(file.fileno()).st_size < file.tell():
                # It was cut off (copytruncate): begin at its new beginning.
                file.seek(0)
                rest = b""
                continue
            self._sleep(LOOKED_EVERY_SECONDS)
        if rest:
            yield rest

    def _is_current(self, file: BufferedReader) -> bool:
        try:
            return os.path.samestat(self._path.stat(), os.fstat(file.fileno()))
        except FileNotFoundError:
            # Moved away, and no record has come since: more may still come into this one.
            return True

    def _awaited(self) -> BufferedReader:
        while True:
            try:
                return self._path.open("rb")
            except FileNotFoundError:
                self._sleep(LOOKED_EVERY_SECONDS)
