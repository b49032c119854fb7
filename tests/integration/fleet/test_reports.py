"""Issue 2, point 3: reports of a dead token cost one fetch together; a WeCom gone mad costs few calls."""

import asyncio
from collections import Counter

import grpc
import pytest
from wecom_broker.v1 import token_service_pb2 as pb

from tests.integration.conftest import Figures
from tests.kit.processes.fleet import CHILD_TOKEN, GETTOKEN, LIST, Fleet, child, refused

REPORTERS = 100

pytestmark = pytest.mark.slow


async def test_100_reports_of_one_dead_token_on_3_replicas_cost_one_fetch(
    fleet: Fleet, app: str, figures: Figures
) -> None:
    async with fleet.replicas(app) as replicas:
        dead, *same = [await replica.token(child(1)) for replica in replicas]
        assert [dead, dead] == same
        fleet.wecom.kill_token(dead.value)
        fleet.wecom.forget_calls()

        answers = await asyncio.gather(*(replicas[turn % 3].report(dead) for turn in range(REPORTERS)))

        assert {CHILD_TOKEN: 1} == fleet.wecom.calls()
        assert 1 == len({answer.token.value for answer in answers})
        assert dead.value != answers[0].token.value
        assert dead.generation < answers[0].token.generation
        outcomes = Counter(pb.ReportOutcome.Name(answer.outcome) for answer in answers)
        assert set(outcomes) <= {"REPORT_OUTCOME_ROTATED", "REPORT_OUTCOME_ALREADY_ROTATED"}
        figures(reporters=REPORTERS, replicas=3, child_fetches=1, outcomes=dict(outcomes))

        for replica in replicas:
            again = await replica.report(dead)
            assert pb.REPORT_OUTCOME_ALREADY_ROTATED == again.outcome
            assert answers[0].token.value == again.token.value
        assert {CHILD_TOKEN: 1} == fleet.wecom.calls(), "an old generation changes nothing"


async def test_reports_of_a_second_dead_token_within_the_cooldown_are_told_to_wait(
    fleet: Fleet, app: str
) -> None:
    async with fleet.replicas(app) as replicas:
        first = await replicas[0].token(child(1))
        second = (await replicas[0].report(first)).token
        fleet.wecom.forget_calls()

        answers = await asyncio.gather(*(replica.report(second) for replica in replicas))

        assert [pb.REPORT_OUTCOME_COOLING_DOWN] * 3 == [answer.outcome for answer in answers]
        assert {second.value} == {answer.token.value for answer in answers}
        assert {} == fleet.wecom.calls()


@pytest.mark.parametrize(
    "mad",
    [(LIST, CHILD_TOKEN), (CHILD_TOKEN,), ("*",)],
    ids=["with every token", "with child fetches", "always"],
)
async def test_a_wecom_that_answers_40014_for_ever_is_asked_4_times_at_most(
    fleet: Fleet, app: str, figures: Figures, mad: tuple[str, ...]
) -> None:
    for endpoint in mad:
        fleet.wecom.fault("errcode", endpoint, errcode=40014)
    async with fleet.replicas(app) as (replica, *others):
        refusal = await refused(replica.token(child(1)))

        calls = fleet.wecom.calls()
        assert sum(calls.values()) <= 4
        assert (grpc.StatusCode.UNAVAILABLE, "WECOM_UNAVAILABLE") == (refusal.code, refusal.reason)
        assert refusal.retry_seconds, "RetryInfo says how long to wait"

        again = [await refused(other.token(child(1))) for other in (replica, *others)]

        assert ["WECOM_UNAVAILABLE"] * 3 == [other.reason for other in again]
        assert calls == fleet.wecom.calls(), "the fleet remembers, and asks no more meanwhile"
        figures(
            upstream=sum(calls.values()),
            by_endpoint={path.rpartition("cgi-bin/")[2]: count for path, count in calls.items()},
            retry_seconds=refusal.retry_seconds,
        )


async def test_a_warm_parent_that_wecom_calls_dead_for_ever_costs_4_calls_at_most(
    fleet: Fleet, app: str, figures: Figures
) -> None:
    async with fleet.replicas(app) as (replica, *_):
        await replica.token(child(1))
        fleet.wecom.forget_calls()
        fleet.wecom.fault("errcode", CHILD_TOKEN, errcode=42001)

        refusal = await refused(replica.token(child(2)))

        assert "WECOM_UNAVAILABLE" == refusal.reason
        assert refusal.retry_seconds
        assert {GETTOKEN: 1, CHILD_TOKEN: 2} == fleet.wecom.calls()
        figures(upstream=3, retry_seconds=refusal.retry_seconds)
