"""A broker opens its store, or says what keeps it from that: a key file, a Redis that is unavailable."""

import base64
import os
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from broker.adapters.system import SystemClock
from broker.app.at_rest.key_file import read_key
from broker.app.errors import CannotStart
from broker.app.store import open_store
from broker.config.load import parse_config
from broker.config.schema import Config
from broker.simulator.demo import CALLBACK_AES_KEY, CALLBACK_TOKEN
from broker.telemetry.observer import Telemetry
from tests.kit.processes.ports import free_port
from tests.kit.processes.redis_server import RedisServer

APP = {"name": "crm", "corp_id": "ww0parent000000001", "agent_id": 1, "secret": "secret-of-crm"}
KEY = base64.b64encode(bytes(range(32)))
PROVIDER = {"name": "isv", "corp_id": "ww0provider00000001", "secret": "secret-of-isv"}
SUITE = {
    "name": "helpdesk",
    "kind": "third_party",
    "suite_id": "ww4asffe99e54c0f4c",
    "suite_secret": "secret-of-helpdesk",
    "provider": "isv",
    "callback": {"token": CALLBACK_TOKEN, "aes_key": CALLBACK_AES_KEY},
}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "broker.db"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "broker.db.key"


def config(database: Path, **store: Any) -> Config:
    return parse_config({"store": {"url": f"sqlite:///{database}", **store}, "apps": [APP]})


async def opens(given: Config) -> None:
    clock = SystemClock()
    async with open_store(given, clock, Telemetry(clock)):
        pass


async def refusal(given: Config) -> str:
    with pytest.raises(CannotStart) as refused:
        await opens(given)
    return str(refused.value)


class TestKeyFile:
    async def test_the_first_start_makes_one_for_its_owner_alone(
        self, database: Path, key_file: Path
    ) -> None:
        await opens(config(database))
        made = key_file.read_bytes()
        await opens(config(database))

        assert 0o600 == key_file.stat().st_mode & 0o777
        assert 32 == len(base64.b64decode(made, validate=True))
        assert made == key_file.read_bytes()
        assert not list(key_file.parent.glob("*.new"))

    async def test_none_is_made_beside_a_database_that_is_in_use(
        self, database: Path, key_file: Path
    ) -> None:
        await opens(config(database))
        key_file.unlink()
        said = await refusal(config(database))

        assert not key_file.exists()
        for word in ("store.url", str(key_file), "is missing", "restore it from a backup", str(database)):
            assert word in said

    async def test_nor_beside_one_whose_keys_were_in_the_configuration(
        self, database: Path, key_file: Path
    ) -> None:
        await opens(config(database, seal_keys=[{"id": "k1", "key": KEY.decode()}]))

        assert "is missing" in await refusal(config(database))
        assert not key_file.exists()

    async def test_a_first_start_that_died_before_it_had_a_key_is_made_good(
        self, database: Path, key_file: Path
    ) -> None:
        database.touch(mode=0o600)
        key_file.with_name("broker.db.key.new").write_bytes(b"half of")
        await opens(config(database))

        assert read_key(database)

    @pytest.mark.parametrize(
        ("content", "word"),
        [
            (b"", "is empty"),
            (b"\n", "is empty"),
            (base64.b64encode(bytes(16)), "is not base64 of 32 bytes"),
            (base64.b64encode(bytes(33)), "is not base64 of 32 bytes"),
            (KEY[:-3], "is not base64 of 32 bytes"),
            (b"\xff\xfe\x00", "is not base64 of 32 bytes"),
            (b"not a key, but a sentence", "is not base64 of 32 bytes"),
        ],
    )
    async def test_one_that_is_no_key_is_told_with_the_remedy(
        self, database: Path, key_file: Path, content: bytes, word: str
    ) -> None:
        await opens(config(database))
        key_file.write_bytes(content)
        said = await refusal(config(database))

        assert f"the key file {key_file} {word}: restore it from a backup" in said
        assert content == key_file.read_bytes()

    async def test_a_line_end_after_the_key_does_no_harm(self, database: Path, key_file: Path) -> None:
        await opens(config(database))
        key_file.write_bytes(key_file.read_bytes() + b"\n")

        await opens(config(database))

    async def test_another_key_opens_nothing(self, database: Path, key_file: Path) -> None:
        await opens(config(database))
        key_file.write_bytes(KEY)

        assert "no key opens what is in the store" in await refusal(config(database))

    @pytest.mark.parametrize("mode", [0o644, 0o604, 0o666])
    async def test_one_that_everybody_may_read_is_refused_with_the_remedy(
        self, database: Path, key_file: Path, mode: int
    ) -> None:
        await opens(config(database))
        key_file.chmod(mode)

        assert f"chmod 600 {key_file}" in await refusal(config(database))

    async def test_its_group_may_read_it_as_in_a_volume_of_kubernetes(
        self, database: Path, key_file: Path
    ) -> None:
        await opens(config(database))
        key_file.chmod(0o660)

        await opens(config(database))

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    async def test_one_that_the_broker_may_not_read_is_told(self, database: Path, key_file: Path) -> None:
        await opens(config(database))
        key_file.chmod(0)

        assert "give it to the user that runs the broker" in await refusal(config(database))

    async def test_a_folder_in_its_place_is_told(self, database: Path, key_file: Path) -> None:
        key_file.mkdir(mode=0o700)

        assert f"the key file {key_file} cannot be read" in await refusal(config(database))


@pytest.mark.slow
async def test_waiting_for_a_redis_is_logged_with_each_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.app.store.STORE_PATIENCE_SECONDS", 1.0)
    url = f"redis://:a-password@127.0.0.1:{free_port()}/0"
    keys = [{"id": "k1", "key": KEY.decode()}]
    with capture_logs() as lines:
        said = await refusal(parse_config({"store": {"url": url, "seal_keys": keys}, "apps": [APP]}))

    waiting = [line for line in lines if line["event"] == "waiting for the store"]
    assert [1, 2, 3] == [line["attempt"] for line in waiting][:3]
    assert all("Connect" in line["problem"] and "a-password" not in line["problem"] for line in waiting)
    assert f"tried {len(waiting) + 1} times in 1 s" in said
    assert "a-password" not in said


class TestDurability:
    """Permanent codes are told once: a store that may lose them is named at the start."""

    @staticmethod
    async def warnings(store: dict[str, Any], *apps: dict[str, Any]) -> list[str]:
        with capture_logs() as lines:
            await opens(parse_config({"store": store, "providers": [PROVIDER], "apps": apps}))
        return [line["problem"] for line in lines if "permanent codes" in line["event"]]

    @staticmethod
    def on(server: RedisServer) -> dict[str, Any]:
        return {"url": server.url, "seal_keys": [{"id": "k1", "key": KEY.decode()}]}

    async def test_a_redis_without_persistence_is_named_once(self, tmp_path: Path) -> None:
        with RedisServer(tmp_path / "redis") as server:
            [problem] = await self.warnings(self.on(server), APP, SUITE)

        assert problem.startswith("store.url: persistence is off")

    async def test_a_broker_without_suites_has_none_to_lose(self, tmp_path: Path) -> None:
        with RedisServer(tmp_path / "redis") as server:
            assert [] == await self.warnings(self.on(server), APP)

    async def test_a_redis_with_a_log_is_not_named(self, tmp_path: Path) -> None:
        with RedisServer(tmp_path / "redis", append_only=True) as server:
            assert [] == await self.warnings(self.on(server), SUITE)

    async def test_nor_is_sqlite(self, database: Path) -> None:
        assert [] == await self.warnings({"url": f"sqlite:///{database}"}, SUITE)
