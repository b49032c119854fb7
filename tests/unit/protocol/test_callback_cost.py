"""What hostile bodies cost: not much more than a good one of their size, on whatever machine this is."""

import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from broker.domain.errors import EnvelopeRejected
from broker.protocol.callbacks.message import read_message
from broker.protocol.callbacks.outside import read_envelope

SIZE = 250_000
GOOD = b"<xml><ToUserName>ww1</ToUserName><AgentID>7</AgentID><Encrypt>%s</Encrypt></xml>" % (b"A" * SIZE)
URI = b"<xml xmlns:a='%s' %s><Encrypt>x</Encrypt></xml>" % (
    b"u" * SIZE,
    b" ".join(b"a:b%d='1'" % number for number in range(190)),
)
"""A parser with namespaces writes the URI into each of the names."""
UNSIGNED = {
    "namespaces": URI,
    "letters": b"a" * SIZE,
    "blanks": b"<xml>" + b" " * SIZE,
    "blanks in a part": b"<xml><a>" + b" " * SIZE,
    "blanks in a declaration": b"<?xml " + b" " * SIZE,
    "a long name": b"<xml><" + b"a" * SIZE,
    "parts": b"<xml>" + b"<a></a>" * (SIZE // 7),
    "sections without end": b"<xml>" + b"<![CDATA[" * (SIZE // 9),
    "references": b"<xml>" + b"&#65;" * (SIZE // 5),
    "no utf-8": b"<xml>" + b"\xff" * SIZE,
    "a string without end": b'{"' + b"a" * SIZE,
    "strings": b'{"' + b'"' * SIZE,
    "escaped quotes without end": b'{"a":' + b'"\\' * (SIZE // 2),
    "escapes": b'{"encrypt":"%s"}' % (rb"\u0041" * (SIZE // 6)),
    "a number": b'{"encrypt":%s}' % (b"9" * SIZE),
    "lists": b'{"encrypt":%s' % (b"[" * SIZE),
}
SIGNED = {
    **UNSIGNED,
    "sections with a broken one": b"<xml><a>![CDATA[a]]></a>" + b"<![CDATA[" * (SIZE // 9) + b"</xml>",
    "broken sections": b"<xml>" + b">![CDATA[" * (SIZE // 9) + b"</xml>",
    "marks": b"<xml>" + b"<" * SIZE + b"</xml>",
    "comments": b"<xml>" + b"<!--" * (SIZE // 4),
    "illegal numbers": b"<xml>" + b"&#8;" * (SIZE // 4) + b"</xml>",
    "a number without end": b"<xml>&#" + b"9" * SIZE + b";</xml>",
    "halves": b"<xml>" + b"\xed\xa0\xbd" * (SIZE // 3) + b"</xml>",
    "backslashes": b'{"a":"%s"}' % (b"\\" * SIZE),
}


def costs(read: Callable[[bytes], object], body: bytes) -> Iterator[float]:
    """Yield the processor time of some tries: the least has nothing in it of what else the machine does."""
    for _ in range(5):
        began = time.thread_time()
        with suppress(EnvelopeRejected):
            read(body)
        yield time.thread_time() - began


def costs_at_most(times: int, read: Callable[[bytes], object], body: bytes) -> bool:
    """Return whether the body costs less than so many good ones."""
    bound = times * min(costs(read, GOOD))
    return any(cost < bound for cost in costs(read, body))


@pytest.mark.parametrize("body", UNSIGNED.values(), ids=UNSIGNED)
def test_what_nobody_signed_costs_no_more_than_a_good_envelope_of_its_size(body: bytes) -> None:
    assert costs_at_most(10, read_envelope, body)


@pytest.mark.slow
@pytest.mark.parametrize("body", SIGNED.values(), ids=SIGNED)
def test_a_message_costs_not_much_more_than_a_good_one_of_its_size(body: bytes) -> None:
    assert costs_at_most(20, read_message, body)


def memory(read: Callable[[bytes], object], body: bytes) -> int:
    """Return the most bytes that were in use at once."""
    tracemalloc.start()
    try:
        with suppress(EnvelopeRejected):
            read(body)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
@pytest.mark.parametrize("body", SIGNED.values(), ids=SIGNED)
def test_no_body_takes_much_memory(body: bytes) -> None:
    assert memory(read_envelope, body) < 5 * SIZE
    assert memory(read_message, body) < 60 * SIZE
