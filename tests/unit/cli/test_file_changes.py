"""Changes of the configuration's files on a machine that gives no means to watch them."""

import asyncio
import itertools
import os
import resource
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pytest
import watchfiles.main
from structlog.testing import capture_logs
from watchfiles._rust_notify import WatchfilesRustInternalError

from broker.app.reloading.watching import ConfigFiles
from broker.cli.serving import file_changes

TIMEOUT_SECONDS = 20
WARNING = "files of the configuration cannot be watched; send SIGHUP after a change, or wait a minute"


class Watched:
    """A configuration whose changes are followed."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "broker.toml"
        self.file.write_text("[server]\n")
        self.elsewhere = folder / "elsewhere" / "broker.toml"
        self.elsewhere.parent.mkdir()
        self.elsewhere.write_text("[store]\n")
        self.reloads = 0
        self.logged: Sequence[Mapping[str, Any]] = ()
        self.task = asyncio.create_task(
            file_changes.reload_after_changes(ConfigFiles(self.file), self.reload)
        )
        self._changes = itertools.count()

    async def reload(self) -> None:
        self.reloads += 1

    def lead_elsewhere(self) -> None:
        """Put a link in the file's place: what it leads to needs a watcher of its own."""
        link = self.file.with_name("link")
        link.symlink_to(self.elsewhere)
        link.replace(self.file)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Return once it holds; fail at once if nothing is followed any more."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while not holds():
                if self.task.done():
                    await self.task
                await asyncio.sleep(0.02)

    async def until_a_change_is_reloaded(self) -> None:
        """Change the file until that has an effect: those before it is watched have none."""
        before = self.reloads

        def is_reloaded() -> bool:
            self.file.write_text(f"# {next(self._changes)}\n")
            return self.reloads > before

        await self.until(is_reloaded)


@pytest.fixture
async def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watched]:
    monkeypatch.setattr(file_changes, "UNWATCHED_SECONDS", 0.1)
    with capture_logs() as logged:
        watched = Watched(tmp_path)
        watched.logged = logged
        yield watched
        watched.task.cancel()
        await asyncio.gather(watched.task, return_exceptions=True)


@contextmanager
def no_free_descriptors() -> Iterator[None]:
    """Let this process open nothing: the system says the same where a user has no inotify instance left."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.slow
async def test_without_another_watcher_for_a_changed_link_a_broker_goes_on_and_tries_again(
    watched: Watched,
) -> None:
    await watched.until_a_change_is_reloaded()
    with no_free_descriptors():
        watched.lead_elsewhere()
        await watched.until(lambda: bool(watched.logged))

    assert {(WARNING, "warning")} == {(line["event"], line["log_level"]) for line in watched.logged}
    assert "Too many open files" in watched.logged[0]["problem"]
    await watched.until_a_change_is_reloaded()


class FailingWatcher:
    """In the place of the system's: it begins, and fails as soon as it is asked."""

    def __init__(self, *_: object) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def watch(self, *_: object) -> str:
        raise WatchfilesRustInternalError("error in underlying watcher: gone")


@pytest.mark.slow
async def test_a_watcher_that_fails_while_it_watches_is_replaced(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    await watched.until_a_change_is_reloaded()
    with monkeypatch.context() as failing:
        failing.setattr(watchfiles.main, "RustNotify", FailingWatcher)
        watched.lead_elsewhere()
        await watched.until(lambda: bool(watched.logged))

    assert WARNING == watched.logged[0]["event"]
    assert "error in underlying watcher: gone" == watched.logged[0]["problem"]
    await watched.until_a_change_is_reloaded()


@pytest.mark.slow
async def test_a_change_while_nothing_can_be_watched_is_reloaded_at_the_next_try(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchfiles.main, "RustNotify", FailingWatcher)
    watched.lead_elsewhere()
    await watched.until(lambda: len(watched.logged) > 1)

    await watched.until_a_change_is_reloaded()
