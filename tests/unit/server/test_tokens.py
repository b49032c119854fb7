"""How long a token lives, as `TokenService` says it."""

from collections.abc import AsyncGenerator
from datetime import timedelta

from wecom_broker.v1 import token_service_pb2 as pb
from wecom_broker.v1.target_pb2 import Target

from broker.domain.credentials import Credential
from broker.server.grpc.services.tokens import TokenServicer
from broker.usecases.credentials.reports import ReportOutcome
from tests.kit.memory.fake_clock import FakeClock
from tests.unit.domain.credentials import NOON, credential
from tests.unit.server.fakes import Context, audit_in_memory

TARGET = Target(app="crm", corp_id="ww1child")


class OneToken:
    """Has a token that lives from noon to two, whoever asks."""

    def __init__(self) -> None:
        self.credential = credential()

    async def get(self, *_: object) -> Credential:
        return self.credential

    async def watch(self, *_: object) -> AsyncGenerator[Credential]:
        async def current() -> AsyncGenerator[Credential]:
            yield self.credential

        return current()

    async def report(self, *_: object) -> tuple[ReportOutcome, Credential]:
        return ReportOutcome.UNCHANGED, self.credential


def servicer(clock: FakeClock) -> TokenServicer:
    return TokenServicer(OneToken(), audit_in_memory(clock), clock)


async def test_each_answer_says_how_long_its_token_lives() -> None:
    clock = FakeClock(NOON)
    tokens = servicer(clock)
    await clock.advance(timedelta(minutes=30))
    get = await tokens.GetAccessToken(pb.GetAccessTokenRequest(target=TARGET), Context())
    watch = await anext(tokens.WatchAccessToken(pb.WatchAccessTokenRequest(target=TARGET), Context()))
    report = await tokens.ReportInvalidToken(
        pb.ReportInvalidTokenRequest(target=TARGET, generation=7, errcode=40014), Context()
    )

    assert [timedelta(minutes=90)] * 3 == [answer.ttl.ToTimedelta() for answer in (get, watch, report)]
    assert get.token == watch.token == report.token


async def test_the_life_is_counted_anew_for_each_answer() -> None:
    clock = FakeClock(NOON)
    tokens = servicer(clock)
    lives = []
    for _ in range(4):
        answer = await tokens.GetAccessToken(pb.GetAccessTokenRequest(target=TARGET), Context())
        lives.append(answer.ttl.ToTimedelta())
        await clock.jump(timedelta(minutes=59))

    assert [timedelta(minutes=minutes) for minutes in (120, 61, 2, 0)] == lives
