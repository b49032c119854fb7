"""What programs read is JSON, whatever the encoding of the stream."""

import io
import json
import sys

import pytest

from broker.cli.json_line import print_json

VALUE = {"name": "华东 café 😀"}


@pytest.fixture(params=["stdout", "stderr"])
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def printed(monkeypatch: pytest.MonkeyPatch, name: str, encoding: str) -> bytes:
    """Return what reaches a stream as `main` leaves it: a character that it lacks is no error."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="backslashreplace")
    monkeypatch.setattr(sys, name, stream)
    print_json(VALUE, err=name == "stderr")
    stream.flush()
    return stream.buffer.getvalue()


@pytest.mark.parametrize("encoding", ["gbk", "cp1252", "latin-1", "ascii", "utf-8"])
def test_a_line_is_json_in_utf_8(monkeypatch: pytest.MonkeyPatch, name: str, encoding: str) -> None:
    assert VALUE == json.loads(printed(monkeypatch, name, encoding))


def test_people_can_read_a_line_where_the_stream_is_utf_8(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert VALUE["name"].encode() in printed(monkeypatch, name, "UTF8")


def test_a_stream_that_is_closed_is_no_error(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(sys, name, None)

    print_json(VALUE, err=name == "stderr")
