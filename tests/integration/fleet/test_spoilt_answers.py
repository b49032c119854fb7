"""A WeCom that spoils a small share of its answers costs that share, and a rotation costs nobody anything."""

import asyncio
import time
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import grpc.aio
import pytest
from wecom_broker.v1 import identity_service_pb2 as identity_pb
from wecom_broker.v1 import identity_service_pb2_grpc as identity_pb_grpc
from wecom_broker.v1 import js_sdk_service_pb2 as js_pb
from wecom_broker.v1 import js_sdk_service_pb2_grpc as js_pb_grpc

from broker.simulator.demo import PARENT
from tests.integration.conftest import Figures, StartFleet
from tests.kit.processes.fleet import (
    CHILD_TOKEN,
    GETTOKEN,
    LIST,
    Fleet,
    Replica,
    child,
    running_fleet,
    target,
)

LOGIN = "/cgi-bin/auth/getuserinfo"
SHARES = (0.01, 0.02, 0.05)
LOGINS, AT_ONCE = 400, 20
LIFETIME, SECONDS, LATE_SECONDS, PAUSE_SECONDS = 10, 25, 0.2, 0.1
HABITS = ("new_value_kills_old", "same_value_full_lifetime", "same_value_remaining")
FAULTS = [("reset", {}), ("status", {"status": 502}), ("errcode", {"errcode": -1})]

pytestmark = pytest.mark.slow


async def failures(calls: Sequence[Awaitable[object]]) -> list[grpc.aio.AioRpcError]:
    """Make the calls, few at once, and return how they failed."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def call(awaitable: Awaitable[object]) -> object:
        async with slots:
            return await awaitable

    ended = await asyncio.gather(*(call(awaitable) for awaitable in calls), return_exceptions=True)
    assert [] == [
        error
        for error in ended
        if isinstance(error, BaseException) and not isinstance(error, grpc.aio.AioRpcError)
    ]
    return [error for error in ended if isinstance(error, grpc.aio.AioRpcError)]


def spoilt(fleet: Fleet) -> int:
    """Return how many answers the faults have spoilt."""
    return sum(rule["struck"] for rule in fleet.wecom.control("GET", "faults")["faults"])


@pytest.fixture(scope="module")
def logging_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Two replicas for all storms: each uses codes of its own."""
    with running_fleet(tmp_path_factory.mktemp("logins"), 2, children=2, patient=True) as fleet:
        yield fleet


@pytest.mark.parametrize(("kind", "fields"), FAULTS, ids=[kind for kind, _ in FAULTS])
async def test_a_login_storm_loses_no_more_logins_than_answers_were_spoilt(
    logging_in: Fleet, figures: Figures, kind: str, fields: dict[str, object]
) -> None:
    fleet, found = logging_in, {}
    fleet.wecom.mend()  # after a storm that failed
    async with fleet.replicas() as replicas:
        for replica in replicas:
            await replica.token()
        for share in SHARES:
            codes = await asyncio.to_thread(login_codes, fleet, LOGINS)
            fleet.wecom.fault(kind, LOGIN, share=share, seed=7, **fields)
            failed = await failures(
                [login(replicas[turn % len(replicas)], code) for turn, code in enumerate(codes)]
            )
            found[share] = (len(failed), spoilt(fleet))
            fleet.wecom.mend()

    figures(
        **{
            f"{share:.0%}": f"{failed} of {LOGINS} failed, {struck} spoilt"
            for share, (failed, struck) in found.items()
        }
    )
    assert all(struck > 0 for _, struck in found.values())
    assert {} == {
        share: (failed, struck) for share, (failed, struck) in found.items() if failed > 1.2 * struck
    }


async def test_a_cold_herd_is_not_failed_by_spoilt_answers(start_fleet: StartFleet, figures: Figures) -> None:
    fleet = start_fleet(2, children=60, patient=True)
    for endpoint in (GETTOKEN, LIST, CHILD_TOKEN):
        fleet.wecom.fault("reset", endpoint, share=max(SHARES), seed=7)
    async with fleet.replicas() as replicas:
        corp_ids = [child(number) for number in range(1, 61)]
        calls = [replica.token(corp_id) for corp_id in corp_ids for replica in replicas * 3]
        failed = await failures(calls)

    figures(calls=len(calls), failed=len(failed), spoilt=spoilt(fleet))
    assert len(failed) <= 1.2 * spoilt(fleet)


@dataclass
class Asked:
    """What callers got who asked for tokens and signatures, again and again."""

    calls: int = 0
    failed: list[grpc.aio.AioRpcError] = field(default_factory=list)
    values: set[str] = field(default_factory=set)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Asked]:
    """Ask while tokens rotate by each habit of WeCom: all at once, since it takes some rotations."""

    async def ask_all(fleets: dict[str, Fleet]) -> list[Asked]:
        return await asyncio.gather(*map(ask, fleets.values()))

    with ExitStack() as stack:
        fleets = {}
        for habit in HABITS:
            fleets[habit] = stack.enter_context(
                running_fleet(
                    tmp_path_factory.mktemp(habit),
                    2,
                    children=1,
                    patient=True,
                    token_lifetime=LIFETIME,
                    habit=habit,
                )
            )
            fleets[habit].wecom.fault("delay", seconds=LATE_SECONDS, on_the_way_back=True)
        return dict(zip(fleets, asyncio.run(ask_all(fleets)), strict=True))


async def ask(fleet: Fleet) -> Asked:
    """Ask for what the parent and its child have, two callers at each replica."""
    asked = Asked()
    ends = time.monotonic() + SECONDS

    async def keep_asking(replica: Replica, corp_id: str) -> None:
        signing = js_pb_grpc.JsSdkServiceStub(replica.channel)
        while time.monotonic() < ends:
            asked.calls += 2
            try:
                asked.values.add((await replica.token(corp_id)).value)
                await signing.SignConfig(
                    js_pb.SignConfigRequest(target=target(corp_id), url="https://crm.example.com/"),
                    timeout=30,
                )
            except grpc.aio.AioRpcError as error:
                asked.failed.append(error)
            await asyncio.sleep(PAUSE_SECONDS)  # several calls while WeCom rotates

    async with fleet.replicas() as replicas:
        await asyncio.gather(
            *(
                keep_asking(replica, corp_id)
                for replica in replicas
                for corp_id in ("", child(1))
                for _ in range(2)
            )
        )
    return asked


@pytest.mark.parametrize("habit", HABITS)
def test_nobody_fails_at_a_rotation_whatever_wecom_s_habit(
    asked: dict[str, Asked], figures: Figures, habit: str
) -> None:
    found = asked[habit]
    rotations = len(found.values) / 2 - 1
    figures(calls=found.calls, failed=len(found.failed), rotations=rotations)
    assert [] == found.failed
    assert rotations >= SECONDS / LIFETIME - 1.5


async def login(replica: Replica, code: str) -> identity_pb.ExchangeAuthCodeResponse:
    """Log in with the code."""
    stub = identity_pb_grpc.IdentityServiceStub(replica.channel)
    return await stub.ExchangeAuthCode(
        identity_pb.ExchangeAuthCodeRequest(app=replica.app, code=code), timeout=30
    )


def login_codes(fleet: Fleet, count: int) -> list[str]:
    """Return codes of one member's logins."""
    return [
        str(fleet.wecom.control("POST", "login_codes", corpid=PARENT.corpid, userid="zhangsan")["code"])
        for _ in range(count)
    ]
