"""Spans go to a collector in batches and at the end, and one that is away costs nothing else."""

import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from broker.app.errors import CannotStart
from broker.simulator.demo import demo_world
from broker.telemetry.otel import export
from tests.integration.tracing.asking import ask
from tests.kit.broker_here import broker_here
from tests.kit.processes.ports import free_port

HEADER = "a-secret-of-the-collector"
ON = {"enabled": True}


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keep what is exported."""

    def __init__(self) -> None:
        self.got: list[trace_service_pb2.ExportTraceServiceRequest] = []
        self.headers: set[tuple[str, str | bytes]] = set()

    def Export(self, request: Any, context: Any) -> trace_service_pb2.ExportTraceServiceResponse:
        self.got.append(request)
        self.headers |= {(name, value) for name, value in context.invocation_metadata()}
        return trace_service_pb2.ExportTraceServiceResponse()

    def names(self) -> set[str]:
        return {
            span.name
            for request in self.got
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        }

    def resource(self) -> dict[str, str]:
        [first, *_] = self.got
        return {each.key: each.value.string_value for each in first.resource_spans[0].resource.attributes}


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    collector, server = Collector(), grpc.server(ThreadPoolExecutor(1))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    yield collector
    server.stop(None).wait()


async def test_what_is_left_is_exported_at_the_end_with_the_headers_and_the_name_of_the_service(
    tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"x-key={HEADER}")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
    async with broker_here(tmp_path, demo_world(), tracing=ON) as here:
        await ask(here)

    names = {"wecom_broker.v1.TokenService/GetAccessToken", "GET /cgi-bin/gettoken", "store commit"}
    assert names <= collector.names()
    assert ("x-key", HEADER) in collector.headers
    assert {"service.name": "wecom-broker", "deployment.environment": "test"}.items() <= (
        collector.resource().items()
    )
    assert HEADER not in "".join(capsys.readouterr())


async def test_a_collector_that_is_away_delays_no_end_and_is_told_once_without_its_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    async with broker_here(tmp_path, demo_world(), tracing=ON) as here:
        for _ in range(10):
            await ask(here)
        began = time.monotonic()
    took = time.monotonic() - began
    told = "".join(capsys.readouterr())

    assert took < export.FLUSH_SECONDS + 5
    assert 1 == told.count("spans cannot be exported")
    assert str(port) not in told
    assert "Traceback" not in told
    assert logging.getLogger("opentelemetry").propagate


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", HEADER),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", HEADER),
    ],
)
async def test_variables_that_cannot_be_used_are_an_error_of_the_start_without_their_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(CannotStart, match=r"tracing\.enabled: OTEL_EXPORTER_OTLP_") as refused:
        async with broker_here(tmp_path, demo_world(), tracing=ON):
            pass

    assert value not in str(refused.value)
