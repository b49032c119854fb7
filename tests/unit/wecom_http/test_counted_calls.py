"""Calls of which WeCom allows few an hour: only those that reached it count."""

import pytest

from broker.adapters.wecom.tickets import TicketEndpoints
from broker.domain.credentials import Credential, CredentialKind, Need
from broker.domain.errors import QuotaReserved, WecomUnavailable
from broker.domain.ports.wecom import GiveBack
from broker.simulator import Errcode, Hang, HttpStatus, Reset, World
from broker.simulator.world.faults import Fault
from broker.usecases.limits.ticket_quota import TicketQuota, limits_of
from tests.kit.memory.fake_clock import FakeClock
from tests.kit.memory.memory_store import MemoryStore, Shared
from tests.kit.processes.ports import free_port
from tests.unit.wecom_http.recorders import HASTY, PATIENT, Surroundings, parent_with

TICKET = "/cgi-bin/ticket/get"
TOKEN = parent_with("the-parent-token")
KEY = TOKEN.key.of_kind(CredentialKind.AGENT_TICKET)


class Counting:
    """A quota, and what it let pass."""

    def __init__(self) -> None:
        clock = FakeClock()
        self.quota = TicketQuota(MemoryStore(Shared(clock)), clock)
        self.passed = 0

    async def allow(self) -> GiveBack:
        """See `Allow`."""
        give_back = await self.quota.take(KEY, Need.FIRST)
        self.passed += 1
        return give_back

    async def used(self) -> list[int]:
        """Return how many count, for the app and for its corp."""
        return [await self.quota.used(limit) for limit in limits_of(KEY.corp_id, KEY.agent_id)]


@pytest.fixture
def counting() -> Counting:
    return Counting()


async def test_where_nobody_listens_each_attempt_is_given_back(
    around: Surroundings, counting: Counting
) -> None:
    async with around.wecom(f"http://127.0.0.1:{free_port()}") as wecom:
        for _ in range(100):
            with pytest.raises(WecomUnavailable):
                await TicketEndpoints(wecom.client).fetch_agent_ticket(TOKEN, counting.allow)

    assert (300, [0, 0]) == (counting.passed, await counting.used())


@pytest.mark.parametrize(
    ("fault", "sent"), [(HttpStatus(502), 3), (Errcode(-1), 3), (Reset(), 3), (Hang(), 1)], ids=str
)
async def test_each_that_reached_wecom_counts(
    url: str,
    around: Surroundings,
    world: World,
    parent: Credential,
    counting: Counting,
    fault: Fault,
    sent: int,
) -> None:
    world.faults.add(TICKET, fault)
    async with around.wecom(url, HASTY if isinstance(fault, Hang) else PATIENT) as wecom:
        with pytest.raises(WecomUnavailable):
            await TicketEndpoints(wecom.client).fetch_agent_ticket(parent, counting.allow)

    assert (sent, [sent, sent]) == (world.log.calls(TICKET), await counting.used())


async def test_what_wecom_gave_counts(
    url: str, around: Surroundings, parent: Credential, counting: Counting
) -> None:
    async with around.wecom(url) as wecom:
        await TicketEndpoints(wecom.client).fetch_agent_ticket(parent, counting.allow)

    assert [1, 1] == await counting.used()


async def test_a_repeat_that_is_not_sent_tells_the_gate_of_no_success(around: Surroundings) -> None:
    allowed = [_nothing]

    async def allow() -> GiveBack:
        if not allowed:
            raise QuotaReserved("used up")
        return allowed.pop()

    async with around.wecom(f"http://127.0.0.1:{free_port()}") as wecom:
        with pytest.raises(QuotaReserved):
            await TicketEndpoints(wecom.client).fetch_agent_ticket(TOKEN, allow)

    assert ["enter"] == [told for told, *_ in around.gate.told]


async def _nothing() -> None:
    """Give nothing back."""
