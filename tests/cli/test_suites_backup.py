"""`wecom-broker suites export` and `import`, on the stores that a configuration may name."""

import asyncio
import base64
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from broker.adapters.sqlite.store import open_sqlite
from broker.adapters.system import SystemClock
from broker.app.storage import Storage
from broker.app.store import open_store
from broker.config.load import parse_config
from broker.domain.audit import AuditOutcome, AuditTarget
from broker.domain.secret import Secret
from broker.domain.suites.authorization import Authorization, AuthorizationState, AuthorizedAgent
from broker.simulator.demo import CALLBACK_AES_KEY, CALLBACK_TOKEN
from broker.telemetry.audit.line import read_line
from broker.telemetry.observer import Telemetry
from broker.usecases.suites.enlisted import AUTHORIZATIONS, FOREVER
from tests.cli.running import run
from tests.kit.processes.broker_process import to_toml
from tests.kit.processes.redis_server import RedisServer

KEY = base64.b64encode(b"k" * 32).decode()
OLD_SEAL = {"id": "k1", "key": base64.b64encode(b"s" * 32).decode()}
NEW_SEAL = {"id": "k2", "key": base64.b64encode(b"t" * 32).decode()}
AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
SECRETS = [f"permanent-code-{number}" for number in range(3)]


def authorization(corp_id: str, secret: str, fence: int = 5) -> Authorization:
    return Authorization(
        suite="market",
        corp_id=corp_id,
        fence=fence,
        state=AuthorizationState.ACTIVE,
        permanent_code=Secret(secret),
        code_hash="c0de",
        installed_at=AT,
        updated_at=AT,
        corp_name="总部",
        agents=(AuthorizedAgent(1000012, "排班助手"),),
    )


FIRST, SECOND = authorization("wpA", SECRETS[0]), authorization("wpB", SECRETS[1])
CANCELLED = replace(
    authorization("wpC", ""), state=AuthorizationState.CANCELLED, permanent_code=None, agents=()
)


@dataclass
class Place:
    """A configuration, and the store that it names."""

    folder: Path
    store: dict[str, Any]

    @property
    def tables(self) -> dict[str, Any]:
        callback = {"token": CALLBACK_TOKEN, "aes_key": CALLBACK_AES_KEY}
        suite = {"provider": "acme", "suite_secret": "SecretOfTheSuite", "callback": callback}
        return {
            "store": self.store,
            "providers": [{"name": "acme", "corp_id": "ww0acme", "secret": "SecretOfTheProvider"}],
            "apps": [{"name": "market", "kind": "third_party", "suite_id": "ww8f3c1d5a77e0b942", **suite}],
        }

    def config(self, **changes: Any) -> str:
        """Return the path of the configuration."""
        path = self.folder / "broker.toml"
        path.write_text(to_toml({**self.tables, **changes}))
        return str(path)

    def keep(self, *kept: Authorization) -> None:
        """Put authorisations into the store as a broker does."""

        async def keep(storage: Storage) -> None:
            for each in kept:
                await storage.groups.enlist(f"{AUTHORIZATIONS}:{each.suite}", each.corp_id, FOREVER)
                assert await storage.authorizations.offer(each)

        asyncio.run(self._with_store(keep))

    def held(self) -> dict[str, Authorization]:
        """Return what the store lists, by corp."""
        found: dict[str, Authorization] = {}

        async def look(storage: Storage) -> None:
            names = await storage.groups.members(f"{AUTHORIZATIONS}:market", 0, 100)
            stored = await storage.authorizations.load([("market", name) for name in names])
            found.update({key[1]: each.value for key, each in stored.items() if each.value})

        asyncio.run(self._with_store(look))
        return found

    async def _with_store(self, work: Any) -> None:
        clock = SystemClock()
        async with open_store(parse_config(self.tables), clock, Telemetry(clock)) as storage:
            await work(storage)


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(params=["sqlite", "redis"])
def place(request: pytest.FixtureRequest) -> Place:
    found: Place = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def redis(redis_server: RedisServer, tmp_path: Path) -> Place:
    prefix = f"test-{os.urandom(4).hex()}"
    return Place(tmp_path, {"url": redis_server.url, "prefix": prefix, "seal_keys": [OLD_SEAL]})


@pytest.fixture
def sqlite(tmp_path: Path) -> Place:
    return Place(tmp_path, {"url": f"sqlite:///{tmp_path}/broker.db"})


@pytest.fixture
def key_file(tmp_path: Path) -> str:
    path = tmp_path / "backup.key"
    path.write_text(run("keys", "new").stdout)
    return str(path)


def exported(place: Place, key_file: str, name: str = "backup") -> str:
    file = str(place.folder / name)
    result = run("suites", "export", file, "--config", place.config(), "--key-file", key_file)
    assert 0 == result.exit_code, result.output
    return file


# --- there and back


def test_what_is_exported_is_imported_into_an_empty_store(place: Place, key_file: str) -> None:
    place.keep(FIRST, SECOND, CANCELLED)
    file = exported(place, key_file)
    other = replace(place, store={**place.store, **elsewhere(place)})
    result = run("suites", "import", file, "--config", other.config(), "--key-file", key_file)

    assert 0 == result.exit_code
    assert ["market wpA written", "market wpB written", "2 written"] == [
        " ".join(line.split()) for line in result.stdout.splitlines()
    ]
    # A broker reads anew what the corps allow by now.
    assert {"wpA": replace(FIRST, is_stale=True), "wpB": replace(SECOND, is_stale=True)} == other.held()


def test_both_leave_a_record_in_the_trail_s_file(place: Place, key_file: str, tmp_path: Path) -> None:
    place.keep(FIRST, SECOND)
    trail, options = tmp_path / "audit.log", ("--key-file", key_file)
    config = place.config(audit={"file": str(trail)})
    file = str(place.folder / "backup")
    assert 0 == run("suites", "export", file, "--config", config, *options).exit_code
    assert 0 == run("suites", "import", file, "--config", config, *options).exit_code
    found = [read_line(line) for line in trail.read_bytes().splitlines()]

    assert [
        ("suites export", AuditTarget("market", kind="permanent_code"), "", 2),
        ("suites import", AuditTarget("market", "wpA", "permanent_code"), "UNCHANGED", 1),
        ("suites import", AuditTarget("market", "wpB", "permanent_code"), "UNCHANGED", 1),
    ] == [(record.operation, record.target, record.reason, record.repeats) for record in found]
    assert {(AuditOutcome.OPERATED, f"uid:{os.getuid()}")} == {(each.outcome, each.peer) for each in found}


def test_neither_does_anything_that_cannot_be_recorded(place: Place, key_file: str, tmp_path: Path) -> None:
    place.keep(FIRST)
    file = exported(place, key_file)
    other = replace(place, store={**place.store, **elsewhere(place)})
    audit = {"file": f"{tmp_path}/no/folder"}
    for command, name, where in (("export", str(place.folder / "another"), place), ("import", file, other)):
        options = ("--config", where.config(audit=audit), "--key-file", key_file)
        result = run("suites", command, name, *options)
        assert 1 == result.exit_code
        assert f"error: {tmp_path}/no/folder: no such file or directory\n" == result.stderr

    assert not (place.folder / "another").exists()
    assert {} == other.held()


def test_what_nobody_reads_is_put_back_and_recorded_all_the_same(place: Place, key_file: str) -> None:
    kept = [authorization(f"wp{number}", f"code-{number}") for number in range(6)]
    place.keep(*kept)
    file, trail = exported(place, key_file), place.folder / "audit.log"
    other = replace(place, store={**place.store, **elsewhere(place)})
    config = other.config(audit={"file": str(trail)})
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "broker", "suites", "import", file, "--config", config]
    with os.fdopen(writer, "wb") as nobody:
        ended = subprocess.run(
            [*command, "--key-file", key_file], stdout=nobody, stderr=subprocess.PIPE, text=True, check=False
        )

    assert (1, "") == (ended.returncode, ended.stderr)
    records = [read_line(line) for line in trail.read_bytes().splitlines()]
    assert [("WRITTEN", each.corp_id) for each in kept] == [
        (record.reason, record.target.corp_id) for record in records
    ]
    assert {each.corp_id for each in kept} == set(other.held())


def test_what_a_full_trail_does_not_take_is_told(place: Place, key_file: str) -> None:
    place.keep(FIRST, SECOND)
    file = exported(place, key_file)
    other = replace(place, store={**place.store, **elsewhere(place)})
    config = other.config(audit={"file": "/dev/full"})
    result = run("suites", "import", file, "--config", config, "--key-file", key_file)

    assert (1, "error: /dev/full: no space left on device\n") == (result.exit_code, result.stderr)
    assert ["market wpA written", "market wpB written"] == [
        " ".join(line.split()) for line in result.stdout.splitlines()
    ]
    assert {"wpA", "wpB"} == set(other.held())


def elsewhere(place: Place) -> dict[str, str]:
    """Return what makes the configuration name another, empty store."""
    if place.store["url"].startswith("sqlite"):
        return {"url": f"sqlite:///{place.folder}/other.db"}
    return {"prefix": f"{place.store['prefix']}-other"}


def test_an_export_tells_what_is_in_it(place: Place, key_file: str) -> None:
    place.keep(FIRST, SECOND, CANCELLED)
    config, options = place.config(), ("--key-file", key_file)
    shown = run("suites", "export", str(place.folder / "a"), "--config", config, *options)
    told = run("suites", "export", str(place.folder / "b"), "--config", config, *options, "--json")

    assert f"{place.folder}/a: 2 authorisations (market 2)\n" == shown.stdout
    assert {
        "file": f"{place.folder}/b",
        "count": 2,
        "unreadable": 0,
        "suites": {"market": 2},
    } == json.loads(told.stdout)


def test_the_key_may_come_from_the_environment(place: Place) -> None:
    place.keep(FIRST)
    file, config = str(place.folder / "backup"), place.config()

    assert 0 == run("suites", "export", file, "--config", config, WECOM_BROKER_BACKUP_KEY=KEY).exit_code
    result = run("suites", "import", file, "--config", config, "--json", WECOM_BROKER_BACKUP_KEY=KEY)
    assert {"suite": "market", "corp_id": "wpA", "outcome": "unchanged"} == json.loads(result.stdout)


def test_no_permanent_code_is_shown_or_stands_in_the_file(place: Place, key_file: str) -> None:
    place.keep(FIRST, SECOND)
    file = exported(place, key_file)
    result = run("suites", "import", file, "--config", place.config(), "--key-file", key_file, "--force")

    content = Path(file).read_bytes()
    for secret in SECRETS:
        assert secret not in result.output
        assert secret.encode() not in content
        assert base64.b64encode(secret.encode())[:-4] not in content


def test_the_file_is_its_owner_s_alone(place: Place, key_file: str) -> None:
    place.keep(FIRST)

    assert 0o600 == stat.S_IMODE(Path(exported(place, key_file)).stat().st_mode)


# --- newer and older


def test_a_newer_authorisation_stays_unless_it_is_forced(place: Place, key_file: str) -> None:
    place.keep(FIRST)
    file = exported(place, key_file)
    newer = authorization("wpA", SECRETS[2], fence=9)
    place.keep(newer)
    command = ("suites", "import", file, "--config", place.config(), "--key-file", key_file)
    kept = run(*command)

    assert 0 == kept.exit_code
    assert "not written: the store has a newer one (--force replaces it)" in kept.stdout
    assert newer == place.held()["wpA"]

    forced = run(*command, "--force", "--json")
    held = place.held()["wpA"]
    assert {"suite": "market", "corp_id": "wpA", "outcome": "replaced"} == json.loads(forced.stdout)
    assert (FIRST.permanent_code, True) == (held.permanent_code, held.is_stale)
    assert held.fence > newer.fence


def test_an_older_authorisation_is_replaced(place: Place, key_file: str) -> None:
    place.keep(FIRST)
    file = exported(place, key_file)
    other = replace(place, store={**place.store, **elsewhere(place)})
    other.keep(authorization("wpA", SECRETS[2], fence=4))
    told = run("suites", "import", file, "--config", other.config(), "--key-file", key_file, "--json")

    assert "replaced" == json.loads(told.stdout)["outcome"]
    assert FIRST.permanent_code == other.held()["wpA"].permanent_code


def test_a_corp_that_has_cancelled_since_stays_cancelled(place: Place, key_file: str) -> None:
    place.keep(FIRST)
    file = exported(place, key_file)
    cancelled = replace(
        CANCELLED, corp_id="wpA", fence=9, updated_at=datetime.now(UTC).replace(microsecond=0)
    )
    place.keep(cancelled)
    told = run("suites", "import", file, "--config", place.config(), "--key-file", key_file, "--json")

    assert "kept_newer" == json.loads(told.stdout)["outcome"]
    assert cancelled == place.held()["wpA"]


def test_an_authorisation_that_no_key_opens_stays_unless_it_is_forced(place: Place, key_file: str) -> None:
    place.store["seal_keys"] = [OLD_SEAL]
    place.keep(FIRST)
    file = exported(place, key_file)
    place.store["seal_keys"] = [NEW_SEAL, OLD_SEAL]
    place.keep(SECOND)
    place.store["seal_keys"] = [NEW_SEAL]
    command = ("suites", "import", file, "--config", place.config(), "--key-file", key_file)
    kept = run(*command)

    assert 1 == kept.exit_code
    assert (
        "not written: what the store has is sealed with a key that is not configured (--force replaces it)"
    ) in kept.stdout
    assert {"wpB": SECOND} == place.held()

    assert 0 == run(*command, "--force").exit_code
    assert FIRST.permanent_code == place.held()["wpA"].permanent_code


# --- what is wrong


def test_a_suite_that_is_not_configured_is_told(sqlite: Place, key_file: str) -> None:
    sqlite.keep(FIRST)
    file = exported(sqlite, key_file)
    suite = {**sqlite.tables["apps"][0], "name": "bazaar"}
    config = sqlite.config(apps=[suite])
    result = run("suites", "import", file, "--config", config, "--key-file", key_file)

    assert 1 == result.exit_code
    assert "no suite of that name is configured" in result.stdout


@pytest.mark.parametrize("command", ["export", "import"])
@pytest.mark.parametrize("key", ["not a key", base64.b64encode(b"short").decode()])
def test_a_key_that_is_none_is_told_without_showing_it(
    sqlite: Place, key_file: str, command: str, key: str
) -> None:
    sqlite.keep(FIRST)
    file = exported(sqlite, key_file) if command == "import" else str(sqlite.folder / "backup")
    given = sqlite.folder / "given.key"
    given.write_text(key)
    result = run("suites", command, file, "--config", sqlite.config(), "--key-file", str(given))

    assert 1 == result.exit_code
    assert result.stderr.startswith("error: ")
    assert "key" in result.stderr
    assert key not in result.stderr
    assert command == "import" or not Path(file).exists()


@pytest.mark.parametrize("content", [b"", b"  \n", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("command", ["export", "import"])
def test_an_empty_key_file_is_named_and_the_variable_s_key_is_not_used(
    sqlite: Place, key_file: str, command: str, content: bytes
) -> None:
    sqlite.keep(FIRST)
    file = exported(sqlite, key_file) if command == "import" else str(sqlite.folder / "backup")
    given = sqlite.folder / "given.key"
    given.write_bytes(content)
    options = ("--config", sqlite.config(), "--key-file", str(given))
    result = run("suites", command, file, *options, WECOM_BROKER_BACKUP_KEY=KEY)

    assert (2, f"error: --key-file: {given} is empty\n") == (result.exit_code, result.stderr)
    assert command == "import" or not Path(file).exists()


@pytest.mark.parametrize("command", ["export", "import"])
def test_a_key_that_is_no_text_is_told_to_be_no_key(sqlite: Place, key_file: str, command: str) -> None:
    sqlite.keep(FIRST)
    file = exported(sqlite, key_file) if command == "import" else str(sqlite.folder / "backup")
    given = sqlite.folder / "given.key"
    given.write_bytes(bytes(range(200, 232)))
    result = run("suites", command, file, "--config", sqlite.config(), "--key-file", str(given))

    assert (1, "error: the key is not base64 of 32 bytes\n") == (result.exit_code, result.stderr)


def test_another_key_opens_nothing(sqlite: Place, key_file: str) -> None:
    sqlite.keep(FIRST)
    file = exported(sqlite, key_file)
    result = run("suites", "import", file, "--config", sqlite.config(), WECOM_BROKER_BACKUP_KEY=KEY)

    assert (1, "") == (result.exit_code, result.stdout)
    assert result.stderr.startswith("error: the key is not that of the file")


def test_a_file_that_is_no_export_is_told(sqlite: Place, key_file: str) -> None:
    file = sqlite.folder / "other"
    file.write_bytes(b"PK\x03\x04\xff")
    result = run("suites", "import", str(file), "--config", sqlite.config(), "--key-file", key_file)

    assert (1, "error: this is no export of authorisations\n") == (result.exit_code, result.stderr)


def test_a_file_is_never_overwritten(sqlite: Place, key_file: str) -> None:
    sqlite.keep(FIRST)
    file = exported(sqlite, key_file)
    before = Path(file).read_bytes()
    result = run("suites", "export", file, "--config", sqlite.config(), "--key-file", key_file)

    assert 1 == result.exit_code
    assert f"error: {file} exists already: choose another name\n" == result.stderr
    assert before == Path(file).read_bytes()


def test_a_file_that_cannot_be_written_is_named_and_not_left_behind(redis: Place, key_file: str) -> None:
    redis.keep(FIRST)
    file = str(redis.folder / "backup")
    command = [sys.executable, "-m", "broker", "suites", "export", file, "--config", redis.config()]
    ended = subprocess.run(
        ["sh", "-c", 'ulimit -f 0; exec "$@"', "sh", *command, "--key-file", key_file],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (1, f"error: {file}: file too large\n") == (ended.returncode, ended.stderr)
    assert not Path(file).exists()


def test_a_folder_that_is_not_there_is_told(sqlite: Place, key_file: str) -> None:
    sqlite.keep(FIRST)
    file = str(sqlite.folder / "no" / "backup")
    result = run("suites", "export", file, "--config", sqlite.config(), "--key-file", key_file)

    assert 1 == result.exit_code
    assert result.stderr.startswith(f"error: {file}: ")


def test_a_store_that_is_not_there_is_told_and_not_made(sqlite: Place, key_file: str) -> None:
    result = run(
        "suites", "export", str(sqlite.folder / "a"), "--config", sqlite.config(), "--key-file", key_file
    )

    assert 1 == result.exit_code
    assert f"error: store.url: {sqlite.folder}/broker.db does not exist\n" == result.stderr
    assert not (sqlite.folder / "broker.db").exists()


@pytest.mark.parametrize("command", ["export", "import"])
async def test_a_broker_that_uses_the_sqlite_file_must_be_stopped_first(
    sqlite: Place, key_file: str, command: str
) -> None:
    await asyncio.to_thread(sqlite.keep, FIRST)
    file = await asyncio.to_thread(exported, sqlite, key_file)
    target = f"{file}-2" if command == "export" else file
    async with open_sqlite(sqlite.folder / "broker.db", SystemClock()):
        result = await asyncio.to_thread(
            run, "suites", command, target, "--config", sqlite.config(), "--key-file", key_file
        )

    assert 1 == result.exit_code
    assert result.stderr.startswith("error: store.url: ")
    assert "stop the broker first: SQLite serves one process at a time" in result.stderr


def test_records_that_no_key_opens_are_counted(place: Place, key_file: str) -> None:
    if place.store["url"].startswith("sqlite"):
        place.store["seal_keys"] = [OLD_SEAL]
    place.keep(FIRST)
    newer = replace(place, store={**place.store, "seal_keys": [NEW_SEAL, OLD_SEAL]})
    newer.keep(SECOND)
    result = run(
        "suites",
        "export",
        str(place.folder / "a"),
        "--config",
        place.config(),
        "--key-file",
        key_file,
        "--json",
    )

    assert 1 == result.exit_code
    assert "store.seal_keys" in result.stderr


def test_mistakes_of_the_configuration_are_told_by_key(sqlite: Place, key_file: str) -> None:
    config = sqlite.config(providers=[])
    result = run("suites", "export", str(sqlite.folder / "a"), "--config", config, "--key-file", key_file)

    assert 2 == result.exit_code
    assert "config: apps[0].provider" in result.stderr
