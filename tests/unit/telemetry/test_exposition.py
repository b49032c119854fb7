"""What Prometheus scrapes comes in pieces, which add up to what the library itself would write."""

from prometheus_client import generate_latest

from broker.telemetry import zeros
from broker.telemetry.exposition import SAMPLES
from broker.telemetry.metrics import Metrics

HEAD = 2
"""The lines HELP and TYPE."""


def of_many_callers() -> Metrics:
    """Return metrics in which several have more samples than a piece, one of them exactly twice as many."""
    metrics = Metrics()
    zeros.expect_callers(metrics, [f"caller-{number}" for number in range(2 * SAMPLES)])
    for number in range(SAMPLES):
        metrics.upstream_seconds.labels(f'/cgi-bin/"{number}"\n').observe(0.1)
    return metrics


def test_the_pieces_are_together_what_the_library_writes() -> None:
    metrics = of_many_callers()

    assert _steady(generate_latest(metrics.registry)) == _steady(b"".join(metrics.exposition()))


def test_no_piece_is_long() -> None:
    lengths = [piece.count(b"\n") for piece in of_many_callers().exposition()]

    assert SAMPLES < max(lengths) <= HEAD + SAMPLES


def test_no_series_tells_when_it_was_made() -> None:
    text = b"".join(of_many_callers().exposition())

    assert b"_created" not in text
    assert b"# TYPE wecom_broker_caller_calls_total counter\n" in text


def _steady(text: bytes) -> list[bytes]:
    """Return the lines without the figures of the process, which change from one look to the next."""
    return [line for line in text.splitlines() if not line.startswith(b"process_")]
