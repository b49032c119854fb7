"""`Seal`: what it closes only the right name and key open."""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.adapters.storage.seal import MOST_MISSED, KeyUnknown, Seal, SealBroken, SealKey
from broker.domain.replica.report import SealUse

OLD = SealKey("k1", bytes(range(32)))
NEW = SealKey("k2", bytes(range(32, 64)))

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)


@unhurried
@given(name=names, payload=st.binary(max_size=500))
def test_what_is_closed_opens_again(name: str, payload: bytes) -> None:
    seal = Seal([OLD])

    assert payload == seal.open(name, seal.close(name, payload))


@unhurried
@given(name=names, payload=st.binary(min_size=4, max_size=100))
def test_nothing_of_the_payload_is_visible(name: str, payload: bytes) -> None:
    assert payload not in Seal([OLD]).close(name, payload)


def test_no_two_closings_are_alike() -> None:
    seal = Seal([OLD])

    assert 100 == len({seal.close("name", b"payload") for _ in range(100)})


@unhurried
@given(name=names, another=names)
def test_a_payload_that_was_moved_to_another_name_does_not_open(name: str, another: str) -> None:
    seal = Seal([OLD])
    sealed = seal.close(name, b"payload")
    if name == another:
        return

    with pytest.raises(SealBroken):
        seal.open(another, sealed)


def test_an_old_key_opens_and_is_not_current() -> None:
    sealed = Seal([OLD]).close("name", b"payload")
    rotated = Seal([NEW, OLD])

    assert b"payload" == rotated.open("name", sealed)
    assert not rotated.is_current(sealed)
    assert rotated.is_current(rotated.close("name", b"payload"))


def test_a_key_that_is_not_configured_is_named() -> None:
    sealed = Seal([OLD]).close("name", b"payload")

    with pytest.raises(SealBroken, match="'k1', which is not configured"):
        Seal([NEW]).open("name", sealed)


def test_another_key_of_the_same_name_does_not_open() -> None:
    sealed = Seal([OLD]).close("name", b"payload")

    with pytest.raises(SealBroken, match="does not open with key 'k1'"):
        Seal([SealKey("k1", os.urandom(32))]).open("name", sealed)


def test_no_beginning_of_a_sealed_payload_opens() -> None:
    seal = Seal([OLD])
    sealed = seal.close("name", b"payload")

    for length in range(len(sealed)):
        with pytest.raises(SealBroken):
            seal.open("name", sealed[:length])


@unhurried
@given(position=st.integers(0, 1000), flip=st.integers(1, 255))
def test_no_changed_byte_goes_unnoticed(position: int, flip: int) -> None:
    seal = Seal([OLD])
    sealed = bytearray(seal.close("name", b"payload"))
    sealed[position % len(sealed)] ^= flip

    with pytest.raises(SealBroken):
        seal.open("name", bytes(sealed))


@unhurried
@given(garbage=st.binary(max_size=80) | st.binary(max_size=40).map(lambda rest: b"\x02k1" + rest))
def test_garbage_is_a_broken_seal_and_nothing_else(garbage: bytes) -> None:
    seal = Seal([OLD, NEW])

    assert seal.is_current(garbage) in (True, False)
    with pytest.raises(SealBroken):
        seal.open("name", garbage)


def test_neither_key_nor_payload_is_in_a_message() -> None:
    key = SealKey("k1", b"K" * 32)
    sealed = bytearray(Seal([key]).close("name", b"payload"))
    sealed[-1] ^= 1

    with pytest.raises(SealBroken) as broken:
        Seal([key]).open("name", bytes(sealed))

    assert "SealKey('k1', ***)" == repr(key)
    assert "K" * 8 not in str(broken.value)
    assert broken.value.__cause__ is None


def test_it_tells_which_keys_are_in_use_and_which_are_missing() -> None:
    old, new = SealKey("k1", b"1" * 32), SealKey("k2", b"2" * 32)
    sealed = Seal([old]).close("name", b"payload")
    unknown = Seal([SealKey("k9", b"9" * 32)]).close("name", b"payload")
    seal = Seal([new, old])
    for _ in range(3):
        seal.open("name", sealed)
    seal.open("name", seal.close("name", b"payload"))
    for _ in range(2):
        with pytest.raises(KeyUnknown):
            seal.open("name", unknown)

    assert [
        SealUse("k2", seals=True, configured=True, count=1),
        SealUse("k1", seals=False, configured=True, count=3),
        SealUse("k9", seals=False, configured=False, count=2),
    ] == seal.uses()

    seal.replace([SealKey("k9", b"9" * 32), new, old])
    assert [("k9", True), ("k2", False), ("k1", False)] == [(use.id, use.seals) for use in seal.uses()]


def test_forged_keys_are_told_apart_within_limits() -> None:
    seal = Seal([SealKey("k1", b"1" * 32)])
    for number in range(1000):
        with pytest.raises(KeyUnknown):
            seal.open("name", Seal([SealKey(f"x{number}", b"9" * 32)]).close("name", b""))

    assert len(seal.uses()) <= 1 + MOST_MISSED
