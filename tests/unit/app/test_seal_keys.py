"""A running broker gets other seal keys: checked against the store before anything is sealed with them."""

import base64
from pathlib import Path
from typing import Any

import pytest

from broker.adapters.storage.seal import KeyUnknown, Seal, SealKey
from broker.adapters.system import SystemClock
from broker.app.at_rest.seal_check import check_seal
from broker.app.at_rest.seal_keys import SealKeys
from broker.app.errors import CannotStart
from broker.config.load import parse_config
from broker.config.schema import Config
from broker.domain.errors import StoreUnavailable
from tests.kit.memory.memory_store import MemoryStore, Shared

OLD, NEW, STRANGE = SealKey("k1", bytes(32)), SealKey("k2", bytes([2] * 32)), SealKey("k9", bytes([9] * 32))
APP: dict[str, Any] = {"name": "crm", "corp_id": "ww0parent", "agent_id": 1, "secret": "a-secret"}


def config(*keys: SealKey, url: str = "redis://127.0.0.1") -> Config:
    named = [{"id": key.id, "key": base64.b64encode(key.key).decode()} for key in keys]
    return parse_config({"apps": [APP], "store": {"url": url, "seal_keys": named}})


@pytest.fixture
async def store() -> MemoryStore:
    store = MemoryStore(Shared(SystemClock()))
    await check_seal(store, [OLD])
    return store


@pytest.fixture
def seal() -> Seal:
    return Seal([OLD])


@pytest.fixture
def keys(store: MemoryStore, seal: Seal) -> SealKeys:
    return SealKeys(store, seal)


async def test_the_first_of_the_new_keys_seals_and_all_open(keys: SealKeys, seal: Seal) -> None:
    before = seal.close("name", b"payload")
    keys.replace(await keys.check(config(NEW, OLD)))

    assert b"payload" == seal.open("name", before)
    assert not seal.is_current(before)
    assert b"payload" == Seal([NEW]).open("name", seal.close("name", b"payload"))


async def test_a_key_that_is_gone_opens_nothing_more(keys: SealKeys, seal: Seal) -> None:
    before = seal.close("name", b"payload")
    keys.replace(await keys.check(config(OLD, NEW)))
    keys.replace(await keys.check(config(NEW)))

    with pytest.raises(KeyUnknown):
        seal.open("name", before)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [([STRANGE], "no key opens"), ([OLD, SealKey("k2", bytes([7] * 32))], "'k2'")],
    ids=["of no replica", "other bytes under a known id"],
)
async def test_wrong_keys_change_nothing(
    keys: SealKeys, seal: Seal, store: MemoryStore, wrong: list[SealKey], named: str
) -> None:
    await check_seal(store, [OLD, NEW])
    with pytest.raises(CannotStart, match=rf"store\.seal_keys: .*{named}"):
        await keys.check(config(*wrong))

    assert b"payload" == Seal([OLD]).open("name", seal.close("name", b"payload"))


async def test_keys_that_cannot_be_checked_change_nothing(keys: SealKeys, store: MemoryStore) -> None:
    store.cut()

    with pytest.raises(StoreUnavailable):
        await keys.check(config(NEW, OLD))


async def test_the_embedded_stores_own_key_is_not_replaced_by_one_that_opens_nothing(
    keys: SealKeys, tmp_path: Path
) -> None:
    with pytest.raises(CannotStart, match="no key opens"):
        await keys.check(config(STRANGE, url=f"sqlite:///{tmp_path}/broker.db"))
