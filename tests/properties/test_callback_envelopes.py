"""Envelopes of all kinds through the whole protocol: it opens them or refuses them, and does nothing else."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import combinations_with_replacement, pairwise, permutations
from random import Random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from broker.domain.errors import EnvelopeRejected
from broker.domain.events.event import EnvelopeProblem
from broker.protocol.callbacks.envelope import check_signature, open_sealed, seal, sign
from broker.protocol.callbacks.message import EVENT_TYPE, Message, delivery_key, read_message
from broker.protocol.callbacks.outside import read_envelope
from tests.properties.posted_callbacks import KEYS, MAKERS, TIMESTAMP, Posted, good

ENVELOPES = int(os.environ.get("ENVELOPES", "20000"))
"""`make fuzz` puts ten times as many through."""
IN_AN_EXAMPLE = 500
OPENED = "opened"
PROBLEMS = set(EnvelopeProblem) - {EnvelopeProblem.SENDER, EnvelopeProblem.SIZE}
"""Those of the protocol: whose address it is, and how much is read, the door knows."""
RANDOM = st.binary(min_size=16, max_size=16)


def run_through(posted: Posted) -> Message:
    envelope = read_envelope(posted.body)
    check_signature(KEYS, posted.signature, posted.timestamp, posted.nonce, envelope.encrypted)
    return read_message(open_sealed(KEYS, envelope.encrypted).message)


def outcome_of(posted: Posted) -> str:
    try:
        message = run_through(posted)
    except EnvelopeRejected as refused:
        return EnvelopeProblem(refused.problem)
    assert posted.meant is None or posted.meant.decode() == message.text
    check_values(message)
    return OPENED


def check_values(message: Message) -> None:
    assert EVENT_TYPE.fullmatch(message.event_type)
    assert 0 <= message.agent_id < 2**63
    assert len(message.corp_id) <= 64
    assert message.created is None or 1973 <= message.created.year <= 2286
    assert 64 == len(delivery_key(message))
    # All of it goes into protobuf, which bears no halves of characters.
    "".join((message.text, message.change_type, *message.fields, *message.fields.values())).encode()


@pytest.mark.slow
def test_any_envelope_is_opened_or_refused_and_nothing_else(
    request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes: Counter[tuple[str, str]] = Counter()

    # A seed has no smaller one that fails alike: what is shown is where to begin.
    @settings(max_examples=-(-ENVELOPES // IN_AN_EXAMPLE), deadline=None, phases=[Phase.generate])
    @given(st.integers(0, 2**64 - 1))
    def many(seed: int) -> None:
        randomness = Random(seed)
        for number in range(IN_AN_EXAMPLE):
            make = MAKERS[number % len(MAKERS)]
            outcomes[make.__name__, outcome_of(make(randomness))] += 1

    many()
    found = Counter(outcome for _, outcome in outcomes.elements())
    with capsys.disabled():
        reporter = request.config.pluginmanager.get_plugin("terminalreporter")
        counts = ", ".join(f"{outcome} {count}" for outcome, count in found.most_common())
        reporter.ensure_newline()
        reporter.write_line(f"{found.total()} envelopes: {counts}")
    assert ENVELOPES <= found.total()
    assert {OPENED} | PROBLEMS == set(found)
    assert {OPENED} == {outcome for maker, outcome in outcomes if maker == good.__name__}


@given(st.binary(max_size=40), RANDOM, st.data())
def test_what_is_changed_in_one_place_is_not_signed(
    message: bytes, random: bytes, data: st.DataObject
) -> None:
    parts = [TIMESTAMP, "1372623149", seal(KEYS, message, "ww1", random)]
    signature = sign(KEYS.token, *parts)
    check_signature(KEYS, signature, *parts)
    which = data.draw(st.integers(0, 2))
    place = data.draw(st.integers(0, len(parts[which]) - 1))
    other = data.draw(st.characters().filter(lambda drawn: drawn != parts[which][place]))
    parts[which] = parts[which][:place] + other + parts[which][place + 1 :]

    with pytest.raises(EnvelopeRejected) as refused:
        check_signature(KEYS, signature, *parts)
    assert EnvelopeProblem.SIGNATURE == refused.value.problem


def cuts(joined: str, pieces: int) -> Iterator[tuple[str, ...]]:
    """Yield every way to cut a text into so many pieces, empty ones too."""
    if not pieces and not joined:
        yield ()
    for places in combinations_with_replacement(range(len(joined) + 1), pieces - 1) if pieces else ():
        yield tuple(joined[start:end] for start, end in pairwise([0, *places, len(joined)]))


@settings(max_examples=20, deadline=None)
@given(st.binary(max_size=60), RANDOM, st.sampled_from(["1", "1372623149", "Zz"]))
def test_what_is_signed_opens_as_nothing_else_however_it_is_cut(
    message: bytes, random: bytes, nonce: str
) -> None:
    """The parts are joined without a mark between them, so that others have the same signature."""
    token, parts = KEYS.token.reveal(), (TIMESTAMP, nonce, seal(KEYS, message, "ww1", random))
    signature = sign(KEYS.token, *parts)
    before, _, after = "".join(sorted([token, *parts])).partition(token)
    cut = (one + other for n in range(4) for one in cuts(before, n) for other in cuts(after, 3 - n))
    signed = {found for some in cut for found in permutations(some) if signature == sign(KEYS.token, *found)}

    assert parts in signed
    for found in signed:
        with suppress(EnvelopeRejected):
            check_signature(KEYS, signature, *found)
            assert message == open_sealed(KEYS, found[2]).message
