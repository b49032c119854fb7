"""What is not Python is in the wheel, and all of it is used."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from broker.adapters.redis.at_rest import RedisAtRest
from broker.adapters.redis.event_log import APPEND, RedisEventLog
from broker.adapters.redis.lua import FOLDER
from broker.adapters.redis.mending import MEND
from broker.adapters.redis.store import COUNT, LOAD, RedisStore
from broker.adapters.system import SystemClock
from tests.contract.observer import Notebook

ROOT = Path(__file__).parents[3]
SCRIPTS = sorted(Path(str(FOLDER)).rglob("*.lua"))


class RecordingClient:
    """Keep the scripts that are registered."""

    def __init__(self) -> None:
        self.scripts: list[str] = []

    def script(self, text: str) -> None:
        self.scripts.append(text)


def test_every_script_file_is_used_once_but_for_what_others_share() -> None:
    client = RecordingClient()
    RedisEventLog(client, "test")  # type: ignore[arg-type]
    RedisAtRest(client, "test")  # type: ignore[arg-type]
    RedisStore(client, "test", SystemClock(), Notebook())  # type: ignore[arg-type]

    uses = {
        file.relative_to(str(FOLDER)).as_posix(): sum(
            file.read_text() in text for text in [*client.scripts, MEND, LOAD, COUNT, APPEND]
        )
        for file in SCRIPTS
    }
    of_a_group = {name for name in uses if name.startswith("events/group/")}
    assert {1} == {count for name, count in uses.items() if name not in of_a_group | {"fence.lua"}}
    assert {11} == {uses[name] for name in of_a_group}
    assert 4 == uses["fence.lua"]


@pytest.mark.parametrize("file", SCRIPTS, ids=lambda file: file.stem)
def test_every_script_file_says_what_it_is_about(file: Path) -> None:
    assert file.read_text().startswith("-- ")


@pytest.mark.slow
def test_the_wheel_has_what_is_not_python(tmp_path: Path) -> None:
    copied = tmp_path / "source"
    subprocess.run(["git", "clone", "--quiet", "--no-local", "--depth=1", ROOT.as_uri(), copied], check=True)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", tmp_path, copied], check=True)
    [wheel] = tmp_path.glob("*.whl")

    packed = set(zipfile.ZipFile(wheel).namelist())
    committed = subprocess.run(
        ["git", "ls-files", "broker"], cwd=copied, check=True, capture_output=True, text=True
    ).stdout.split()
    assert [] == [name for name in committed if name not in packed]
    assert any(name.endswith(".lua") for name in packed)
    assert any(name.endswith(".sql") for name in packed)
