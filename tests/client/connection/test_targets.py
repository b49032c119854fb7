"""How a call names the corp."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from inspect import Parameter, getmembers, isfunction, signature
from typing import TYPE_CHECKING, Any

import pytest
from wecom_broker import Broker, sync

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.client.fake_broker import FakeBroker

HERE = "give the corp as corp=, not as corp_id="
FROM_MEMORY = {"access_token", "held_token"}
"""They have no argument for it: each costs every read of a token. Python itself refuses the name."""


def that_name_a_corp(client: type) -> list[str]:
    """Return the methods that have `corp` among their arguments."""
    return [name for name, method in getmembers(client, isfunction) if "corp" in signature(method).parameters]


def arguments_of(method: Callable[..., Any]) -> dict[str, str]:
    """Return a value for each argument that has no default, and for the corp."""
    needed = [
        name for name, argument in signature(method).parameters.items() if argument.default is Parameter.empty
    ]
    return {**dict.fromkeys(needed, "x"), "corp": "ww1"}


def refusal_of(name: str) -> str:
    """Return what is said to those who call that method with `corp_id`."""
    return "unexpected keyword argument 'corp_id'" if name in FROM_MEMORY else HERE


async def outcome(made: Any) -> Any:
    """Do what a method of either client returned."""
    if isinstance(made, AbstractAsyncContextManager):
        return await made.__aenter__()
    if isinstance(made, AbstractContextManager):
        return made.__enter__()
    if hasattr(made, "__anext__"):
        return await anext(made)
    return next(made) if hasattr(made, "__next__") else await made


@pytest.mark.parametrize("name", that_name_a_corp(Broker))
async def test_the_name_in_answers_is_refused_with_the_one_to_write(
    fake: FakeBroker, broker: Broker, name: str
):
    method = getattr(broker, name)

    with pytest.raises(TypeError, match=refusal_of(name)):
        await outcome(method(**arguments_of(method), corp_id="ww1"))
    assert 0 == fake.calls.total()


@pytest.mark.parametrize("name", that_name_a_corp(sync.Broker))
async def test_threads_are_told_the_same(fake: FakeBroker, name: str):
    def ask() -> None:
        with sync.Broker(fake.address) as broker:
            method = getattr(broker, name)
            with pytest.raises(TypeError, match=refusal_of(name)):
                asyncio.run(outcome(method(**arguments_of(method), corp_id="ww1")))

    await asyncio.to_thread(ask)
    assert 0 == fake.calls.total()


async def test_a_token_in_memory_hides_no_mistake(broker: Broker):
    await broker.access_token("crm", corp="ww1")

    for name in FROM_MEMORY:
        call: Any = getattr(broker, name)
        with pytest.raises(TypeError, match=refusal_of(name)):
            await outcome(call("crm", corp="ww1", corp_id="ww1"))


def test_every_call_in_a_corp_is_tried() -> None:
    expected = {
        "access_token",
        "held_token",
        "watch_access_token",
        "sign_page",
        "sign_config",
        "sign_agent_config",
        "call",
        "upload_media",
        "download_media",
        "convert_session",
        "verify_url",
        "open_envelope",
        "seal_reply",
        "authorize_url",
        "user_from_code",
        "user_profile",
        "mini_program_login",
        "authorization",
        "refresh_authorization",
    }

    assert expected == set(that_name_a_corp(Broker)) == set(that_name_a_corp(sync.Broker))
