"""What is held for apps follows the catalog: freed for those that are gone, begun for those that are new."""

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from broker.domain.apps import Target
from broker.domain.corps import ShareKind
from broker.domain.credentials import CredentialKey
from broker.domain.errors import SecretRejected, UnknownApp
from broker.domain.secret import Secret
from broker.domain.shares import ListingKey
from broker.domain.suites.catalog import Catalog
from tests.kit.memory.engine_world import CHILD, CHILD_TARGET, CRM, EngineWorld
from tests.kit.memory.fake_clock import settle
from tests.kit.memory.provider_world import ACME, MARKET, TAILORED, ProviderWorld

OWN = CredentialKey.own_token(CRM)


async def test_a_removed_apps_credentials_are_freed_and_its_watches_end() -> None:
    async with EngineWorld() as world:
        core = (await world.start()).core
        await core.engine.get(OWN)
        with core.memory.watching(OWN) as latest:
            world.catalog.replace(Catalog({}))
            assert 0 == len(core.memory)
            with pytest.raises(UnknownApp):
                await anext(aiter(latest))
        with pytest.raises(UnknownApp):
            await core.engine.get(OWN)
        with pytest.raises(UnknownApp):
            await core.sharing.targets.locate(Target("crm"))
        assert not [entry for entry in core.memory if entry.credential]


async def test_a_token_on_its_way_while_its_app_is_removed_is_not_kept() -> None:
    async with EngineWorld() as world:
        core = (await world.start()).core
        asked = asyncio.create_task(core.engine.get(OWN))
        await asyncio.sleep(0)
        world.catalog.replace(Catalog({}))
        await settle()
        await asyncio.gather(asked, return_exceptions=True)
        assert not [entry for entry in core.memory if entry.credential]


async def test_a_removed_apps_shares_are_freed_and_their_watches_end() -> None:
    async with EngineWorld() as world:
        core = (await world.start()).core
        await core.sharing.directory.all(CRM)
        assert core.sharing.lists.all()
        async with aclosing(core.sharing.directory.watch(CRM)) as changes:
            await anext(changes)
            world.catalog.replace(Catalog({}))
            with pytest.raises(UnknownApp):
                await anext(changes)
        assert [] == core.sharing.lists.all()


async def test_a_corrected_secret_is_tried_at_once() -> None:
    async with EngineWorld() as world:
        core = (await world.start()).core
        right = CRM.secret
        wrong = replace(CRM, secret=Secret("wrong"))
        world.catalog.replace(Catalog({"crm": wrong}))
        with pytest.raises(SecretRejected):
            await core.engine.get(OWN)
        world.catalog.replace(Catalog({"crm": replace(CRM, secret=right)}))
        assert (await core.engine.get(OWN)).value


async def test_another_secret_keeps_a_valid_token() -> None:
    async with EngineWorld() as world:
        core = (await world.start()).core
        valid = await core.engine.get(OWN)
        world.catalog.replace(Catalog({"crm": replace(CRM, secret=Secret("another"))}))
        assert valid is await core.engine.get(OWN)


async def test_a_removed_suite_is_forgotten_and_one_that_comes_back_has_what_the_store_has() -> None:
    async with ProviderWorld() as world:
        core = (await world.start()).core
        await world.push(world.replicas[0])
        found = await world.authorize(world.replicas[0])
        whole = Catalog({}, dict(world.catalog.suites), dict(world.catalog.providers))
        watch = core.suites.overview.watch("market")
        await anext(watch)
        world.catalog.replace(Catalog({}, {"tailored": TAILORED}, {"acme": ACME}))
        with pytest.raises(UnknownApp):
            await anext(watch)
        assert [] == core.authorizations.of("market")
        assert core.suite_tickets.get("market") is None
        assert not [entry for entry in core.memory if entry.key.app == "market"]
        world.catalog.replace(whole)
        await settle()
        assert [found.key] == [known.key for known in core.authorizations.of("market")]
        assert core.suite_tickets.get("market") is not None


async def test_a_first_suite_begins_to_exchange_codes() -> None:
    async with ProviderWorld() as world:
        whole = Catalog({}, dict(world.catalog.suites), dict(world.catalog.providers))
        world.catalog.replace(Catalog({}))
        await world.start()
        world.catalog.replace(whole)
        await world.push(world.replicas[0])
        assert "market" == (await world.authorize(world.replicas[0], suite=MARKET)).suite


@pytest.mark.parametrize("other", [{"corp_id": "ww-another"}, {"agent_id": 1000003}])
async def test_shares_and_tokens_of_children_do_not_serve_another_app_of_the_name(
    other: dict[str, Any],
) -> None:
    async with EngineWorld() as world:
        replica = await world.start()
        token = await world.run(replica.tokens.get(CHILD_TARGET))
        assert token.key == CHILD
        calls = world.wecom.count()

        world.catalog.replace(Catalog({"crm": replace(CRM, secret=Secret("another"), **other)}))
        await settle()

        assert None is await replica.engine.look(CHILD)
        assert None is await replica.lister.recall(ListingKey("crm", ShareKind.CORP_GROUP))
        world.catalog.replace(Catalog({"crm": CRM}))
        await settle()
        assert token == await replica.engine.look(CHILD)
        assert await replica.lister.recall(ListingKey("crm", ShareKind.CORP_GROUP))
        assert calls == world.wecom.count()
