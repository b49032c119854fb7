"""A reload gives a suite's name to another suite, as from test to live, while the broker serves others."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from wecom_broker import Broker
from wecom_broker.errors import CorpNotAuthorized, SuiteTicketMissing

from broker.app.running_broker import running_broker
from broker.config.load import parse_config
from broker.domain.replica.health import ReloadOutcome
from broker.simulator import Callback
from broker.simulator import provider_demo as demo
from broker.simulator.server import running_simulator
from broker.simulator.world.console.addresses import Channel
from broker.simulator.world.suites.suite import Suite
from tests.integration.suites.three_kinds import (
    MARKET,
    PARENT,
    TAILORED,
    Kinds,
    call_back,
    installed,
    tables,
    three_kinds_world,
)

LIVE_ID, LIVE_SECRET = "ww0a1b2c3d4e5f6071", "secret-of-the-live-suite"
BACK = "https://market.test/installed"


async def test_a_suites_name_becomes_another_suites_and_nothing_of_the_first_serves_it(
    tmp_path: Path,
) -> None:
    world = three_kinds_world()
    world.suites.add(Suite(LIVE_ID, LIVE_SECRET, demo.PROVIDER, name="live"))
    async with running_simulator(world) as url:
        file = tables(url, f"sqlite:///{tmp_path}/broker.db")
        async with (
            running_broker(parse_config(file), lambda: parse_config(file)) as running,
            Broker(running.grpc_addresses[0]) as broker,
        ):
            callbacks = f"http://127.0.0.1:{running.http_port}/callback"
            call_back(world, callbacks)
            for suite in (MARKET, TAILORED):
                world.console.tickets.push(suite)
            kinds = Kinds(world, url, running.grpc_addresses[0])
            await installed(kinds, broker)
            corp = kinds.corpid(PARENT)
            await broker.install_url(MARKET, BACK)
            kept = await broker.access_token(TAILORED, corp)
            sent = world.log.calls("/cgi-bin/service/get_corp_token")

            file["apps"][1] |= {"suite_id": LIVE_ID, "suite_secret": LIVE_SECRET}
            assert ReloadOutcome.APPLIED is await running.reload.reload()

            with pytest.raises(SuiteTicketMissing):
                await broker.install_url(MARKET, BACK)
            with pytest.raises(CorpNotAuthorized):
                await broker.access_token(MARKET, corp)
            assert [] == [row async for row in broker.authorizations(MARKET)]
            assert kept.value == (await broker.access_token(TAILORED, corp)).value

            for channel in (Channel.COMMAND, Channel.DATA):
                world.console.set_callback(
                    "live", channel, Callback(f"{callbacks}/{MARKET}", demo.CALLBACK_KEYS[MARKET])
                )
            world.console.tickets.push("live")
            await world.callbacks.outbox.settled()
            link = await broker.install_url(MARKET, BACK)
            assert [LIVE_ID] == parse_qs(urlsplit(link.url).query)["suite_id"]
            came_back = world.console.install_by_link(link.url, PARENT)
            found = await broker.complete_installation(MARKET, came_back.auth_code, state=link.state)
            assert corp == found.corp_id
            assert await broker.access_token(MARKET, corp)
            # Of the first suite's corps none was tried with the second suite's token.
            assert sent + 1 == world.log.calls("/cgi-bin/service/get_corp_token")
