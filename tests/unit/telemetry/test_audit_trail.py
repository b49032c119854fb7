"""The promises of the trail, as they stand at the head of its module."""

import errno
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from broker.domain.audit import AuditRecord
from broker.telemetry.audit.trail import QueuedTrail
from tests.unit.telemetry.audit_records import RECORD, Witness

PATIENCE = 20.0


class Sink:
    """Takes records, fails or hangs as the test says."""

    def __init__(self) -> None:
        self.taken: list[AuditRecord] = []
        self.opened = 0
        self.is_open = False
        self.error: OSError | None = None
        self.passes = threading.Event()
        self.passes.set()
        self.asked = threading.Semaphore(0)

    def open(self) -> None:
        self.opened += not self.is_open
        self.is_open = True

    def put(self, record: AuditRecord) -> None:
        self.asked.release()
        self.passes.wait(PATIENCE)
        if self.error:
            raise self.error
        self.taken.append(record)

    def close(self) -> None:
        self.is_open = False


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def witness() -> Witness:
    return Witness()


@pytest.fixture
def trail(sink: Sink, witness: Witness) -> Iterator[QueuedTrail]:
    trail = QueuedTrail(sink, witness, room=100, again_seconds=0.01)
    trail.start()
    yield trail
    sink.passes.set()
    sink.error = None
    trail.close()


def records(count: int) -> list[AuditRecord]:
    return [replace(RECORD, generation=number) for number in range(count)]


def test_everything_is_written_in_order(trail: QueuedTrail, sink: Sink, witness: Witness) -> None:
    for record in records(90):
        trail.write(record)
    trail.close()

    assert records(90) == sink.taken
    assert (90, 0) == (witness.written, witness.lost)
    assert not sink.is_open


def test_promise_1_nobody_waits_for_a_sink_that_hangs(
    trail: QueuedTrail, sink: Sink, witness: Witness
) -> None:
    sink.passes.clear()
    trail.write(RECORD)
    assert sink.asked.acquire(timeout=PATIENCE)
    began = time.thread_time()
    for record in records(10_000):
        trail.write(record)

    assert time.thread_time() - began < 2
    assert 9_900 == witness.lost


def test_promise_2_a_sink_that_fails_is_tried_again_and_nothing_is_lost(
    trail: QueuedTrail, sink: Sink, witness: Witness
) -> None:
    sink.error = OSError(errno.ENOSPC, "No space left on device")
    for record in records(50):
        trail.write(record)
    for _ in range(3):
        assert sink.asked.acquire(timeout=PATIENCE)
    sink.error = None
    trail.close()

    assert records(50) == sink.taken
    assert (50, 0) == (witness.written, witness.lost)
    assert {"No space left on device"} == set(witness.problems)


def test_promise_3_what_cannot_be_written_before_the_end_is_lost_and_counted(
    trail: QueuedTrail, sink: Sink, witness: Witness
) -> None:
    sink.error = OSError(errno.EIO, "Input/output error")
    for record in records(50):
        trail.write(record)
    trail.close()

    assert (0, 50) == (witness.written, witness.lost)


def test_promise_4_a_sink_that_hangs_keeps_the_end_no_longer_than_it_may(
    trail: QueuedTrail, sink: Sink, witness: Witness
) -> None:
    sink.passes.clear()
    for record in records(50):
        trail.write(record)
    assert sink.asked.acquire(timeout=PATIENCE)
    trail.close(within_seconds=0.05)

    assert 50 == witness.lost
    assert sink.taken == []


def test_a_full_queue_is_written_at_the_end(sink: Sink, witness: Witness) -> None:
    trail = QueuedTrail(sink, witness, room=10, again_seconds=0.01)
    sink.passes.clear()
    trail.start()
    trail.write(RECORD)
    assert sink.asked.acquire(timeout=PATIENCE)
    for record in records(10):
        trail.write(record)
    sink.passes.set()
    trail.close()

    assert [RECORD, *records(10)] == sink.taken
    assert 0 == witness.lost


def test_reopen_opens_the_sink_anew_before_the_next_record(trail: QueuedTrail, sink: Sink) -> None:
    trail.write(RECORD)
    assert sink.asked.acquire(timeout=PATIENCE)
    trail.reopen()
    trail.write(RECORD)
    trail.close()

    assert 2 == len(sink.taken)
    assert 2 == sink.opened


def test_what_comes_after_the_end_is_lost_and_nothing_fails(sink: Sink, witness: Witness) -> None:
    trail = QueuedTrail(sink, witness, room=1)
    trail.start()
    trail.close()
    for record in records(3):
        trail.write(record)

    assert sink.taken == []
    assert 2 <= witness.lost


def test_a_fifo_that_nobody_reads_yet_does_not_keep_the_broker_from_starting(witness: Witness) -> None:
    class Fifo(Sink):
        def open(self) -> None:
            raise OSError(errno.ENXIO, "No such device or address")

    trail = QueuedTrail(Fifo(), witness, again_seconds=0.01)
    trail.start()
    trail.write(RECORD)
    trail.close()

    assert 1 == witness.lost
    assert "nobody reads it" in witness.problems


def test_another_error_at_the_start_is_the_operator_s(witness: Witness) -> None:
    class Missing(Sink):
        def open(self) -> None:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    with pytest.raises(FileNotFoundError):
        QueuedTrail(Missing(), witness).start()
