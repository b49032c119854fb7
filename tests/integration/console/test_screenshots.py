"""The console in a real browser: it draws the whole page, in both languages, without a mistake of its own.

`make test` has it draw one broker; `make screenshots` a whole fleet, and keeps the pictures.
"""

import asyncio
import os
import shutil
import struct
from pathlib import Path

import pytest

from tests.integration.console.place import CALLERS, OPS, console
from tests.integration.console.scene import CORPS, scene
from tests.kit.processes.fleet import child

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
WIDTH, HEIGHT = 1360, 3200
TIMEOUT_SECONDS = 120.0
VIEWS = {
    "console-en": ("?lang=en", "--blink-settings=preferredColorScheme=1", "Apps × corps"),
    "console-zh": ("?lang=zh", "--blink-settings=preferredColorScheme=1", "应用 × 企业"),
    "console-dark": ("?lang=en", "--blink-settings=preferredColorScheme=0", "Apps × corps"),
}

FACTS = ("APP_DISABLED", "orders/fulfilment", 'value="hr"', "CALLER_NOT_ALLOWED", "signature")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium: apt-get install chromium fonts-noto-cjk"),
]
KEPT = os.environ.get("SCREENSHOTS", "")
"""The folder in which the pictures of a fleet are kept."""


async def browse(folder: Path, address: str, *options: str) -> tuple[str, str]:
    """Have Chromium open the page; return what it printed, and what it complained of."""
    command = [
        CHROMIUM,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        "--enable-logging=stderr",
        f"--user-data-dir={folder / 'profile'}",
        f"--window-size={WIDTH},{HEIGHT}",
        *options,
        address,
    ]
    pipe = asyncio.subprocess.PIPE
    running = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    async with asyncio.timeout(TIMEOUT_SECONDS):
        out, complaints = await running.communicate()
    return out.decode(), complaints.decode(errors="replace")


def size_of(picture: Path) -> tuple[int, ...]:
    """Return width and height as the PNG says them."""
    head = picture.read_bytes()[:24]
    assert head.startswith(b"\x89PNG")
    return struct.unpack(">II", head[16:24])


async def draw(folder: Path, address: str, kept: Path, name: str) -> None:
    """Take a picture of a view."""
    query, colours, _ = VIEWS[name]
    picture = kept / f"{name}.png"
    _, complaints = await browse(folder, address + query, colours, f"--screenshot={picture}")
    assert (WIDTH, HEIGHT) == size_of(picture)
    # The page's own policy forbids nothing that the page needs.
    assert "Content Security Policy" not in complaints


async def read(folder: Path, address: str, name: str) -> str:
    """Return a view as the browser has understood it."""
    query, _, title = VIEWS[name]
    page, _ = await browse(folder, address + query, "--dump-dom")
    assert title in page
    return page


async def test_a_browser_draws_and_reads_the_page(tmp_path: Path) -> None:
    async with console(tmp_path, callers=CALLERS) as place:
        address = place.browser.base.replace("//", f"//operator:{OPS}@") + "/"
        await draw(tmp_path, address, tmp_path, "console-en")
        assert "1 / 1 正在服务" in await read(tmp_path, address, "console-zh")


@pytest.mark.skipif(not KEPT, reason="a fleet takes its time: make screenshots")
async def test_three_replicas_forty_corps_a_refusal_and_a_lagging_group_are_drawn(tmp_path: Path) -> None:
    async with scene(tmp_path) as address:
        for name in VIEWS:
            await draw(tmp_path, address, Path(KEPT).absolute(), name)
            page = await read(tmp_path, address, name)
            assert CORPS == sum(child(number) in page for number in range(1, CORPS + 1))
            assert "3 of 3 serving" in page or "3 / 3 正在服务" in page
            for shown in FACTS:
                assert shown in page
