"""`audit` shows, filters and follows a trail, and passes over what is no record."""

import json
import os
import select
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.cli.audit.reader import TrailReader
from broker.domain.audit import AuditOutcome, AuditRecord, AuditTarget
from broker.telemetry.audit.line import write_line
from tests.cli.running import WITHIN_SECONDS, interrupted, process, run
from tests.kit.processes.broker_process import to_toml
from tests.unit.telemetry.audit_records import RECORD

APP = {"name": "crm", "corp_id": "ww0parent", "agent_id": 1000002, "secret": "SecretOfTheApp"}
NOW = datetime.now(UTC)
"""When the tests were collected: up to a quarter of an hour before one runs."""
RECORDS = [
    replace(RECORD, time=NOW - timedelta(days=2), caller="reports"),
    replace(RECORD, time=NOW - timedelta(hours=2)),
    AuditRecord(
        NOW - timedelta(minutes=40),
        AuditOutcome.REFUSED,
        caller="orders",
        peer="192.0.2.7",
        action="api.call",
        operation="CallApi",
        target=AuditTarget("hr", "ww2", path="/cgi-bin/user/delete"),
        reason="CALLER_NOT_ALLOWED",
        repeats=17,
    ),
    AuditRecord(NOW - timedelta(minutes=1), AuditOutcome.ROTATED, peer="broker", target=RECORD.target),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "audit.log"
    path.write_bytes(b"".join(map(write_line, RECORDS)))
    return path


def shown(path: Path, *options: str) -> list[int]:
    """Return the positions of the records that are shown."""
    result = run("audit", str(path), "--json", *options)
    assert (0, "") == (result.exit_code, result.stderr)
    lines = [write_line(record).decode().strip() for record in RECORDS]
    return [
        lines.index(json.dumps(json.loads(line), separators=(",", ":")))
        for line in result.stdout.splitlines()
    ]


def test_people_see_a_line_for_each_record(path: Path) -> None:
    result = run("audit", str(path))

    assert 0 == result.exit_code
    lines = result.stdout.splitlines()
    assert 4 == len(lines)
    for word in ("refused", "orders@192.0.2.7", "CallApi", "hr/ww2", "/cgi-bin/user/delete", "×17"):
        assert word in lines[2]
    for word in (
        "handed_out",
        "token.get",
        "crm/ww1child/corp_group/1000010",
        "generation 7",
        "0123456789ab",
    ):
        assert word in lines[1]


@pytest.mark.parametrize(
    ("options", "positions"),
    [
        ([], [0, 1, 2, 3]),
        (["--caller", "orders"], [1, 2]),
        (["--caller", "re*"], [0]),
        (["--caller", ""], [3]),
        (["--action", "token.*"], [0, 1]),
        (["--app", "crm"], [0, 1, 3]),
        (["--corp", "ww2"], [2]),
        (["--outcome", "refused"], [2]),
        (["--since", "1h"], [2, 3]),
        (["--since", "20m"], [3]),
        (["--since", "1d"], [1, 2, 3]),
        (["--caller", "orders", "--outcome", "handed_out"], [1]),
        (["--caller", "nobody"], []),
        (["--caller", "crm", "--app", "crm"], []),
    ],
)
def test_only_what_passes_all_filters_is_shown(path: Path, options: list[str], positions: list[int]) -> None:
    assert positions == shown(path, *options)


def test_since_may_be_a_time(path: Path) -> None:
    assert [1, 2, 3] == shown(path, "--since", (NOW - timedelta(hours=3)).isoformat())


def test_lines_that_are_no_records_are_told_and_passed_over(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b'{"time":"2026-\nno json\n\n' + b"\xff" * 100 + b"\n" + write_line(RECORDS[1]))
    result = run("audit", str(path), "--json")

    assert 0 == result.exit_code
    assert 5 == len(result.stdout.splitlines())
    assert f"warning: {path}: 3 line(s) are no audit records\n" == result.stderr


def test_a_file_of_something_else_is_an_error(tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("something\nelse\n")
    result = run("audit", str(other))

    assert (1, "") == (result.exit_code, result.stdout)
    assert f"error: {other}: 2 line(s) are no audit records\n" == result.stderr


def test_records_in_a_log_of_json_are_found_among_its_other_lines(tmp_path: Path) -> None:
    log = tmp_path / "broker.log"
    record = json.loads(write_line(RECORDS[1]))
    other = {"event": "refreshed", "outcome": "rotated", "level": "info"}
    log.write_text(f"{json.dumps(other)}\n{json.dumps({**record, 'event': 'audit', 'level': 'info'})}\n")

    assert [1] == shown(log)


def test_the_file_may_come_from_the_configuration(path: Path, tmp_path: Path) -> None:
    config = tmp_path / "broker.toml"
    config.write_text(to_toml({"apps": [APP], "audit": {"file": str(path)}}))

    assert 4 == len(run("audit", "--config", str(config)).stdout.splitlines())
    assert 4 == len(run("audit", WECOM_BROKER_CONFIG=str(config)).stdout.splitlines())


@pytest.mark.parametrize(("audit", "said"), [({}, "is not set"), ({"file": "stdout"}, "is stdout")])
def test_a_configuration_without_a_file_says_what_to_do(
    tmp_path: Path, audit: dict[str, str], said: str
) -> None:
    config = tmp_path / "broker.toml"
    config.write_text(to_toml({"apps": [APP], "audit": audit}))
    result = run("audit", "--config", str(config))

    assert 1 == result.exit_code
    assert f"error: audit.file {said}" in result.stderr


def test_neither_file_nor_configuration_is_wrong_usage() -> None:
    assert 2 == run("audit", WECOM_BROKER_CONFIG="").exit_code


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    result = run("audit", f"{tmp_path}/nothing.log")

    assert 1 == result.exit_code
    assert f"error: {tmp_path}/nothing.log: no such file or directory\n" == result.stderr


@pytest.mark.parametrize("since", ["soon", "1y", "h", "2026-13-01", "99999999999d", ""])
def test_a_time_that_is_none_is_wrong_usage(path: Path, since: str) -> None:
    result = run("audit", str(path), "--since", since)

    assert 2 == result.exit_code
    assert "--since" in result.stderr


def test_a_terminal_is_not_at_the_mercy_of_what_callers_write(path: Path) -> None:
    path.write_bytes(write_line(replace(RECORDS[2], reason="\x1b[2J\r\n", caller="a\u202eb")))
    (line,) = run("audit", str(path)).stdout.splitlines()

    assert r"\x1b[2J\r\n" in line
    assert r"a\u202eb" in line


def test_following_goes_on_over_a_rotation_until_ctrl_c(path: Path) -> None:
    later = [replace(RECORD, generation=number) for number in (8, 9, 10)]
    with process("audit", str(path), "--follow", "--json", "--since", "1s") as running:
        assert running.stdout
        append(path, write_line(replace(later[0], time=NOW + timedelta(hours=1))))
        assert 8 == json.loads(running.stdout.readline())["generation"]
        path.rename(path.with_suffix(".1"))
        path.write_bytes(write_line(replace(later[1], time=NOW + timedelta(hours=1))))
        assert 9 == json.loads(running.stdout.readline())["generation"]
        append(path, write_line(replace(later[2], time=NOW + timedelta(hours=1))))
        assert 10 == json.loads(running.stdout.readline())["generation"]
        code, out, error = interrupted(running)

    assert (130, "", "") == (code, out, error)


def test_following_a_fifo_shows_each_record_as_it_comes(tmp_path: Path) -> None:
    fifo = tmp_path / "trail"
    os.mkfifo(fifo)
    command = ("audit", str(fifo), "--follow", "--json")
    with process(*command) as running, fifo.open("r+b", buffering=0) as trail:
        assert running.stdout
        for generation in (8, 9):
            trail.write(write_line(replace(RECORD, generation=generation)))
            assert select.select([running.stdout], [], [], WITHIN_SECONDS)[0]
            assert generation == json.loads(running.stdout.readline())["generation"]
        code, out, error = interrupted(running)

    assert (130, "", "") == (code, out, error)


class Rotating:
    """Waits by doing what somebody else does to the file meanwhile."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._steps = self._rotate()

    def __call__(self, _seconds: float) -> None:
        next(self._steps)

    def _rotate(self) -> Iterator[None]:
        append(self._path, b"2\n3")
        yield
        append(self._path, b"3\n")
        yield
        moved = self._path.with_suffix(".1")
        self._path.rename(moved)
        append(moved, b"4\n")
        yield
        self._path.write_bytes(b"5\n")
        append(moved, b"last of the old\n")
        yield
        append(moved, b"late\n")
        yield
        os.truncate(self._path, 0)
        yield
        append(self._path, b"6\n")
        yield
        self._path.unlink()
        yield
        yield
        self._path.write_bytes(b"7\n")
        while True:
            yield


def append(path: Path, text: bytes) -> None:
    with path.open("ab") as file:
        file.write(text)


def test_no_line_is_lost_or_torn_however_the_file_is_rotated(tmp_path: Path) -> None:
    path = tmp_path / "trail"
    path.write_bytes(b"1\n")
    lines = TrailReader(path, sleep=Rotating(path)).lines(follow=True)
    expected = [b"1", b"2", b"33", b"4", b"last of the old", b"late", b"5", b"6", b"7"]

    assert expected == [next(lines) for _ in expected]


def test_a_line_without_an_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "trail"
    path.write_bytes(b"x" * 5_000_000)

    assert all(len(piece) < 1_500_000 for piece in TrailReader(path).lines())
