"""Reload when a file of the configuration changes, however it is replaced."""

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from watchfiles import awatch
from watchfiles._rust_notify import WatchfilesRustInternalError

from broker.config.reloading.named_files import named_files

QUIET_MS = 250
"""How long nothing may change before a file is read: editors and scripts write in several steps."""
LONGEST_BURST_MS = 1_000
LOOK_MS = 10_000
"""How often files are looked at without being told: network file systems tell nothing."""
GRACE_LOOKS = 4
"""How many times QUIET_MS a file may be missing: some tools delete and write."""

Contents = dict[Path, bytes | None]


class CannotWatch(Exception):
    """The system gives no means to watch files, or takes them back: of inotify each user has a few."""


class ConfigFiles:
    """The contents of the files that a configuration consists of."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._named_in: bytes | None = None
        self._files = {path}
        self._read_names(_digest(path))
        self._contents = self._read()

    def changed(self) -> bool:
        """Return whether any content is another one than at the last look."""
        before = self._contents
        if (present := _digest(self._path)) is None or present != self._named_in:
            self._read_names(present)
        self._contents = self._read()
        return self._contents != before

    @property
    def is_incomplete(self) -> bool:
        """Return whether a file is missing or empty, as one that is being written is."""
        return any(content in (None, EMPTY) for content in self._contents.values())

    def folders(self) -> set[Path]:
        """Return where a change of the files, or of a link on the way to them, shows."""
        return {link.parent for file in self._files for link in _links(file) if link.parent.is_dir()}

    def links(self) -> set[Path]:
        """Return the paths whose change matters."""
        return {link for file in self._files for link in _links(file)}

    def _read_names(self, digest: bytes | None) -> None:
        """Read which files it names; the digest is from before, so that a change meanwhile shows later."""
        names = named_files(self._path)
        # One that names no other may have been unreadable for a moment: its names are read again.
        self._named_in = digest if len(names) > 1 else None
        self._files = names | self._missing()

    def _missing(self) -> set[Path]:
        """Return the known files while the configuration itself is not there to name them."""
        return set() if self._path.exists() else self._files

    def _read(self) -> Contents:
        return {file: _digest(file) for file in self._files}


async def watch(files: ConfigFiles, on_change: Callable[[], Awaitable[object]]) -> None:
    """Call `on_change` if they have changed since the last look, then after each change, for ever.

    Raises `CannotWatch`, `OSError`.
    """
    if await _settled(files):
        await on_change()
    problem: BaseException | None = None
    while problem is None:
        # The watcher raises its error alone where it begins, and in groups where it goes on.
        try:
            await _watch_these(files, on_change)
        except* WatchfilesRustInternalError as group:
            problem = _first(group)
    raise CannotWatch(str(problem))


async def _watch_these(files: ConfigFiles, on_change: Callable[[], Awaitable[object]]) -> None:
    """Call `on_change` after each change, until there are other files, folders or links to watch."""
    watched, names = files.folders(), {str(link) for link in files.links()}
    async for _ in awatch(
        *watched,
        watch_filter=lambda _, changed: changed in names,
        debounce=LONGEST_BURST_MS,
        step=QUIET_MS,
        rust_timeout=LOOK_MS,
        yield_on_timeout=True,
        recursive=False,
    ):
        if await _settled(files):
            await on_change()
        if files.folders() != watched or {str(link) for link in files.links()} != names:
            break


def _first(error: BaseException) -> BaseException:
    """Return the first error of a group, however deep it is in there."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _settled(files: ConfigFiles) -> bool:
    """Return whether the files have changed, once they are whole; a missing one is waited for a moment."""
    changed = files.changed()
    for _ in range(GRACE_LOOKS):
        if not (changed and files.is_incomplete):
            break
        await asyncio.sleep(QUIET_MS / 1000)
        files.changed()
    return changed


def _links(path: Path) -> Iterable[Path]:
    """Yield the path and every link on the way to the file: Kubernetes swaps a folder's link (`..data`)."""
    waiting, seen = [path.absolute()], set[Path]()
    while waiting:
        here = waiting.pop()
        if here in seen:
            continue
        seen.add(here)
        yield here
        for part in (here, *here.parents):
            if part.is_symlink():
                yield part
                target = part.parent / part.readlink() / here.relative_to(part)
                waiting.append(Path(os.path.normpath(target)))
                break


def _digest(file: Path) -> bytes | None:
    try:
        return hashlib.sha256(file.read_bytes()).digest() if file.is_file() else None
    except OSError:
        return None


EMPTY = hashlib.sha256(b"").digest()
