"""The same calls for whoever installed the app: one program, unchanged, in corps of every kind of app."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from wecom_broker import Broker, UserKind, sync

from tests.integration.conftest import Figures
from tests.integration.suites.in_threads import InThreads
from tests.integration.suites.one_client import CHECKED, Seen, use
from tests.integration.suites.three_kinds import (
    BY_TOKEN,
    CASES,
    OWNED,
    Case,
    Kinds,
    Simulated,
    installed,
    three_kinds,
)

IMPATIENT = {"cooldown_seconds": 0.01}
"""The program reports a token, and has another one die on the way, within one test."""


@pytest.fixture
async def kinds(tmp_path: Path) -> AsyncIterator[Kinds]:
    async with three_kinds(tmp_path, refresh=IMPATIENT) as kinds, Broker(kinds.address) as broker:
        await installed(kinds, broker)
        yield kinds


@asynccontextmanager
async def client(address: str, way: str) -> AsyncIterator[Any]:
    if way == "asyncio":
        async with Broker(address) as broker:
            yield broker
    else:
        with sync.Broker(address) as broker:
            yield InThreads(broker)


@pytest.mark.parametrize("way", ["asyncio", "threads"])
@pytest.mark.parametrize("name", CASES)
async def test_one_program_works_in_every_corp_of_every_kind_of_app(
    kinds: Kinds, figures: Figures, name: str, way: str
) -> None:
    case, outside = CASES[name], Simulated(kinds, CASES[name])
    place = case.place(kinds)
    async with client(kinds.address, way) as broker:
        seen: Seen = await use(broker, place, outside)

    agent_id, user_id = case.agent_id(kinds), case.user_id(kinds)
    assert [(place.corp, agent_id)] * 2 == [(token.corp_id, token.agent_id) for token in seen.watched]
    assert [seen.token.value, seen.replaced.value] == [token.value for token in seen.watched]
    assert [seen.token.value, seen.replaced.value] == outside.killed
    assert seen.token.generation < seen.replaced.generation
    assert {"corp": "0", "agent": "0"} == seen.pages
    assert (place.corp, user_id, kind_of(case), False) == (
        seen.user.corp_id,
        seen.user.user_id,
        seen.user.kind,
        seen.user.corp_unknown,
    )
    if may_show_profiles(case):
        assert seen.profile is not None
        assert (place.corp, user_id, "1") == (seen.profile.corp_id, seen.profile.user_id, seen.profile.gender)
    else:
        assert seen.profile is None
    assert place.corp == seen.session.corp_id
    assert b"13800000000" in seen.decrypted
    assert seen.signature_fits
    assert outside.session_key() == seen.session_key
    assert user_id == seen.member["userid"]
    assert agent_id == seen.agent["agentid"]
    assert 0 == seen.healed
    assert case.shares(kinds) == set(seen.shares) == set(seen.watched_shares)
    assert len(case.shared) == seen.synced.unchanged_count + len(seen.synced.added)
    assert () == seen.synced.removed
    assert (case.app, place.corp, agent_id, CHECKED, user_id) == (
        seen.event.app,
        seen.event.corp_id,
        seen.event.agent_id,
        seen.event.event_type,
        seen.event.user_id,
    )
    figures(case=f"{name} ({way})", **shown(seen))


def kind_of(case: Case) -> UserKind:
    """Return the kind of a member: of a child only where the app is the parent's."""
    is_child = case.corp in (OWNED, BY_TOKEN) and case.app != "market"
    return UserKind.CHILD_MEMBER if is_child else UserKind.OWN_MEMBER


def may_show_profiles(case: Case) -> bool:
    """Return whether WeCom gives a user_ticket: to the members of a corp that has the app itself."""
    return kind_of(case) is UserKind.OWN_MEMBER


def shown(seen: Seen) -> dict[str, object]:
    """Return the results that a reader compares."""
    return {
        "corp": seen.token.corp_id,
        "agent": seen.token.agent_id,
        "user": seen.user.user_id,
        "profile": seen.profile is not None,
        "session_of": seen.session.user_id,
        "shares": len(seen.shares),
        "event": f"{seen.event.event_type} of {seen.event.corp_id}",
    }
