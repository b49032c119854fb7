"""Files, pipes and the log take whole records, from several processes at once, and keep nobody waiting."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from broker.telemetry.audit.line import read_line, write_line
from broker.telemetry.audit.sinks import AuditLines, AuditLog, audit_file, audit_stdout
from broker.telemetry.logging import set_up_logging
from tests.kit.logs import own_logging
from tests.unit.telemetry.audit_records import RECORD

WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from broker.telemetry.audit.sinks import audit_file
from tests.unit.telemetry.audit_records import RECORD
sink = audit_file(Path(sys.argv[1]))
sink.open()
for number in range(2000):
    sink.put(replace(RECORD, caller=sys.argv[2] * 100, generation=number))
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.log"


@pytest.fixture
def sink(path: Path) -> AuditLines:
    sink = audit_file(path)
    sink.open()
    return sink


def test_a_file_is_made_for_its_owner_alone(path: Path, sink: AuditLines) -> None:
    assert 0o600 == path.stat().st_mode & 0o777


def test_records_are_appended_to_what_is_there(path: Path) -> None:
    path.write_bytes(write_line(RECORD))
    path.chmod(0o640)
    sink = audit_file(path)
    sink.open()
    sink.put(RECORD)

    assert [RECORD, RECORD] == list(map(read_line, path.read_bytes().splitlines()))
    assert 0o640 == path.stat().st_mode & 0o777, "whoever rotates the file decides"


def test_a_file_that_was_moved_or_removed_is_begun_anew(path: Path, sink: AuditLines) -> None:
    moved = path.with_suffix(".1")
    path.rename(moved)
    sink.open()
    sink.put(RECORD)
    path.unlink()
    sink.open()
    sink.put(RECORD)

    assert b"" == moved.read_bytes()
    assert write_line(RECORD) == path.read_bytes()


def test_a_folder_that_is_gone_is_an_error_until_it_is_back(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    sink = audit_file(folder / "audit.log")
    sink.open()
    (folder / "audit.log").unlink()
    folder.rmdir()
    with pytest.raises(FileNotFoundError):
        sink.open()
    folder.mkdir()
    sink.open()
    sink.put(RECORD)

    assert write_line(RECORD) == (folder / "audit.log").read_bytes()


@pytest.mark.slow
def test_several_processes_append_whole_lines(path: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), name]) for name in "abc"]
    assert [0, 0, 0] == [writer.wait(60) for writer in writers]
    found = list(map(read_line, path.read_bytes().splitlines()))

    for name in "abc":
        mine = [record.generation for record in found if record.caller == name * 100]
        assert list(range(2000)) == mine


def test_a_full_disk_is_an_error_and_costs_one_line_at_most(tmp_path: Path) -> None:
    """A limit on the file's size acts as a full disk does: the last write is cut short."""
    room = len(write_line(RECORD)) * 3 // 2
    path = tmp_path / "audit.log"
    program = f"""
import resource, signal
from pathlib import Path
from broker.telemetry.audit.sinks import audit_file
from tests.unit.telemetry.audit_records import RECORD
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
sink = audit_file(Path({str(path)!r}))
sink.open()
resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, hard))
sink.put(RECORD)
for _ in range(2):
    try:
        sink.put(RECORD)
    except OSError:
        print("full")
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
sink.put(RECORD)
"""
    told = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    lines = path.read_bytes().splitlines()

    assert ["full", "full"] == told.stdout.split()
    assert [write_line(RECORD).strip()] * 2 == [lines[0], lines[-1]]
    assert 3 == len(lines)


def test_a_fifo_that_nobody_reads_is_an_error(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(OSError, match="No such device"):
        audit_file(path).open()


def test_a_fifo_whose_reader_does_not_read_is_an_error_and_gets_whole_lines(path: Path) -> None:
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    sink = audit_file(path)
    sink.open()
    sent = 0
    with suppress(BlockingIOError):
        while True:
            sink.put(RECORD)
            sent += 1
    read = b""
    while len(read) < sent * len(write_line(RECORD)):
        read += os.read(reader, 1 << 16)

    assert write_line(RECORD) * sent == read
    sink.put(RECORD)
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        sink.put(RECORD)


def test_stdout_may_be_a_pipe_that_nobody_reads() -> None:
    program = """
from broker.telemetry.audit.sinks import audit_stdout
from tests.unit.telemetry.audit_records import RECORD
sink = audit_stdout()
sink.open()
try:
    while True:
        sink.put(RECORD)
except BlockingIOError:
    pass
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as writer:
        assert 0 == writer.wait(60)
        assert writer.stdout
        assert {RECORD} == set(map(read_line, writer.stdout.read().splitlines()))


def test_stdout_that_is_closed_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(OSError, match="stdout is closed"):
        audit_stdout().open()


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_in_the_log_a_record_is_a_line_at_every_level(level: str, capsys: pytest.CaptureFixture[str]) -> None:
    with own_logging():
        set_up_logging(level, "json")
        log = AuditLog()
        log.open()
        log.put(RECORD)
        log.close()
    (line,) = capsys.readouterr().err.splitlines()
    told = json.loads(line)

    assert "audit" == told["event"]
    assert json.loads(write_line(RECORD)).items() <= told.items()
