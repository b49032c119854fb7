"""Incidents of suites: their ticket, an installation, and what corps allow."""

from pathlib import Path

from wecom_broker.v1 import suite_service_pb2 as pb

from broker.simulator.provider_demo import PARENT
from broker.simulator.world.faults import Errcode
from tests.incidents.ground import Ground, Told, ground
from tests.kit.processes.fleet import refused, until

DAY = 86_400.0
PERMISSION = "chat:export"


async def _installed(here: Ground) -> str:
    """Install market in the parent, and return its id once the broker has read what it allows."""
    here.world.console.install("market", PARENT)
    await here.world.callbacks.outbox.settled()
    corp_id = here.world.suites.corpid("market", PARENT)

    async def is_read() -> bool:
        found = (
            await here.crm.suites.ListAuthorizations(pb.ListAuthorizationsRequest(app="market"))
        ).authorizations
        return any(row.corp_id == corp_id and row.agents for row in found)

    await until(is_read)
    return corp_id


async def ticket_lost(folder: Path, told: Told) -> None:
    async with ground(folder, told, has_tickets=False) as here:
        assert (await refused(here.crm.of("market").refresh())).reason == "SUITE_TICKET_MISSING"
        remedy = await here.named(
            "FAIL", "market", "no suite_ticket of market has ever arrived", "WecomBrokerSuiteTicketEnded"
        )
        assert "press 刷新ticket" in remedy
        here.world.console.tickets.push("market")
        await here.world.callbacks.outbox.settled()
        await here.crm.of("market").refresh()
        assert not [found for found in await here.doctor() if found["subject"] == "market"]
        here.worked()


async def authorization_lost(folder: Path, told: Told) -> None:
    async with ground(folder, told) as here:
        here.world.faults.add("v2/get_permanent_code", Errcode(40029, "invalid code"), times=1)
        here.world.console.install("market", PARENT)
        await here.world.callbacks.outbox.settled()
        remedy = await here.named("FAIL", "market", "1 authorisation(s) LOST", "WecomBrokerAuthCodeLost")
        assert "lost" in await here.carried_out(remedy)
        corp_id = await _installed(here)
        assert (await here.crm.of("market").token(corp_id)).value
        [left] = [found for found in await here.doctor() if found["subject"] == "market"]
        assert ("WARN", "1 authorisation(s) LOST, and as many installed since") == (
            left["level"],
            left["problem"],
        )
        assert "1 lost installation of market acknowledged" in await here.carried_out(left["remedy"])
        assert not [found for found in await here.doctor() if found["subject"] == "market"]
        here.worked()


async def permission_ends(folder: Path, told: Told) -> None:
    async with ground(folder, told) as here:
        corp_id = await _installed(here)
        here.world.console.authorize_data("market", PARENT, PERMISSION, 3 * DAY)
        remedy = await here.named("WARN", "market", "a corp's permission ends", "WecomBrokerPermissionEnds")
        assert corp_id in await here.carried_out(remedy)
        here.world.console.authorize_data("market", PARENT, PERMISSION, 90 * DAY)
        await here.world.callbacks.outbox.settled()

        async def is_renewed() -> bool:
            return not [found for found in await here.doctor() if found["subject"] == "market"]

        await until(is_renewed, pause=0.3)
        here.worked()
