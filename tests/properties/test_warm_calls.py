"""The short cut of repeated calls and the whole chain, side by side: nobody can tell them apart.

A program is a list of steps over one broker that has two doors: one with the short cut, one without. Whoever
asks asks at both; the answers, the metrics and the audit trails must agree.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import sha256
from itertools import chain
from typing import Any, NamedTuple

import grpc.aio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wecom_broker.v1 import js_sdk_service_pb2 as js_pb
from wecom_broker.v1 import js_sdk_service_pb2_grpc as js_pb_grpc
from wecom_broker.v1 import token_service_pb2 as pb
from wecom_broker.v1 import token_service_pb2_grpc as pb_grpc
from wecom_broker.v1.target_pb2 import SHARE_KIND_SUPPLY_CHAIN, Target

from broker.adapters.system import SystemRandomness
from broker.domain.access import Action, Caller, Limits, Rule
from broker.domain.audit import AuditOutcome
from broker.domain.caller_policy import CallerPolicy
from broker.domain.credentials import CredentialKey, CredentialKind
from broker.domain.errors import BrokerError, SecretRejected, WecomUnavailable
from broker.domain.suites.catalog import Catalog
from broker.protocol.js_sdk import sign_url
from broker.server.grpc.audit.calls import CallAudit
from broker.server.grpc.door import Door, Registrar
from broker.server.grpc.entry.admission import Admission
from broker.server.grpc.entry.authorizer import Authorizer
from broker.server.grpc.entry.identity import Identity
from broker.server.grpc.entry.open_streams import OpenStreams
from broker.server.grpc.entry.subjects import Subjects
from broker.server.grpc.guard import RpcGuard
from broker.server.grpc.services.js_sdk import JsSdkServicer
from broker.server.grpc.services.tokens import TokenServicer
from broker.server.grpc.warm.methods import warm_methods
from broker.telemetry.metrics import Metrics
from broker.telemetry.requests import Rpc, RpcType
from broker.usecases.access_tokens import AccessTokens
from broker.usecases.signing import Signing
from tests.kit.memory.audit_trail import MemoryTrail
from tests.kit.memory.engine_world import CHILD, CHILD_SHARE, CRM, OWN, EngineWorld, outcome
from tests.kit.memory.wecom import Endpoint
from tests.properties.examples import MANY
from tests.unit.server.fakes import Context, audit_in_memory, bearer, error_info

TOLD_TO = timedelta(milliseconds=200)
"""How exactly the short cut tells a `ttl`."""
OTHER_SHARE = replace(CHILD_SHARE, corp_id="ww-other")
URL = "https://crm.example.com/orders?id=1"
TOKENS, PAGES = "/wecom_broker.v1.TokenService/", "/wecom_broker.v1.JsSdkService/"
TARGETS = (
    Target(app="crm"),
    Target(app="crm", corp_id="ww-child"),
    Target(app="crm", corp_id="ww-other"),
    Target(app="crm", corp_id="ww-child", agent_id=99),
    Target(app="crm", corp_id="ww-child", share_kind=SHARE_KIND_SUPPLY_CHAIN),
    Target(app="erp"),
    Target(app="no app's name"),
)
GET_TOKEN = (TOKENS + "GetAccessToken", pb.GetAccessTokenResponse)
REQUESTS: Sequence[tuple[str, Any, bytes]] = [
    *((*GET_TOKEN, pb.GetAccessTokenRequest(target=target).SerializeToString()) for target in TARGETS),
    (*GET_TOKEN, pb.GetAccessTokenRequest(target=TARGETS[0], min_ttl=timedelta(hours=1)).SerializeToString()),
    (*GET_TOKEN, pb.GetAccessTokenRequest(target=TARGETS[0], min_ttl=timedelta(0)).SerializeToString()),
    (*GET_TOKEN, b"no message"),
    *(
        (PAGES + name, answer, ask(target=target, url=url).SerializeToString())
        for name, ask, answer in (
            ("SignPage", js_pb.SignPageRequest, js_pb.SignPageResponse),
            ("SignConfig", js_pb.SignConfigRequest, js_pb.SignConfigResponse),
            ("SignAgentConfig", js_pb.SignAgentConfigRequest, js_pb.SignAgentConfigResponse),
        )
        for target in TARGETS[:3]
        for url in (URL, URL + "#/top", "javascript:alert(1)")
    ),
]
USUAL = [number for number, (_, _, raw) in enumerate(REQUESTS) if b"ww-child" in raw or number == 0]

REFUSED = {raw for _, _, raw in REQUESTS if b"javascript" in raw} | {
    pb.GetAccessTokenRequest(target=target).SerializeToString() for target in TARGETS[3:5]
}
GET, SIGN = frozenset({Action.TOKEN_GET}), frozenset({Action.JSSDK_SIGN})
ALL = Rule(frozenset({"crm"}), frozenset({"*"}), GET | SIGN)
RULES: dict[str, tuple[Rule, ...]] = {
    "all": (ALL,),
    "children": (replace(ALL, corps=frozenset({"ww-c*"})),),
    "tokens": (replace(ALL, actions=GET),),
    "none": (),
}
LIMITS = {"wide": Limits(), "narrow": Limits(calls_per_minute=6), "shut": Limits(calls_at_once=0)}
NAMES = ("orders", "billing")

Step = tuple[Any, ...]
asks = st.tuples(
    st.just("ask"),
    st.one_of(st.sampled_from(USUAL), st.sampled_from(USUAL), st.integers(0, len(REQUESTS) - 1)),
    st.sampled_from([*NAMES, *NAMES, "stranger"]),
    st.booleans(),
)
again = st.tuples(st.just("again"), st.integers(1, 7))
passes = st.tuples(st.just("pass"), st.sampled_from([0.1, 0.3, 11, 50, 1500, 5800, 7170, 7300]))
changes = st.one_of(
    st.tuples(st.just("rotate"), st.sampled_from([OWN, CHILD]), st.sampled_from([*CredentialKind][:3])),
    st.tuples(
        st.just("share"), st.sampled_from([[], [CHILD_SHARE], [CHILD_SHARE, OTHER_SHARE], [OTHER_SHARE]])
    ),
    st.tuples(st.just("share"), st.just([CHILD_SHARE, replace(CHILD_SHARE, agent_id=99)])),
    st.tuples(st.just("rules"), st.sampled_from([*RULES]), st.sampled_from([*LIMITS])),
    st.tuples(st.just("open")),
    st.tuples(st.just("apps"), st.sampled_from([(), (CRM,), (replace(CRM, agent_id=1000003),)])),
    st.tuples(st.just("fail"), st.sampled_from([WecomUnavailable, SecretRejected])),
    st.tuples(st.just("recover")),
)
# A rule is loosened more often than tightened, or hardly anything would be answered.
loosened = st.tuples(st.just("rules"), st.sampled_from(["all", "all", "children"]), st.just("wide"))
programs = st.tuples(
    *[st.lists(st.one_of(asks, asks, again, again, passes, passes, changes, loosened), max_size=12)] * 6
).map(lambda parts: list(chain.from_iterable(parts)))


class Details(NamedTuple):
    """What gRPC tells of a call before its request is read."""

    method: str
    invocation_metadata: Any


@dataclass
class Side:
    """One of the two doors."""

    door: Door
    metrics: Metrics
    trail: MemoryTrail

    async def ask(self, method: str, answer: Any, raw: bytes, caller: str) -> Any:
        """Return the answer, or the reason of a refusal."""
        context = bearer(f"token-of-{caller}")
        handler: Any = self.door.service(Details(method, tuple(context.metadata or ())))
        try:
            if handler.request_streaming:
                # A stranger's request is read once its caller is known.
                context.sent = raw
                got = await handler.stream_unary(None, context)
            else:
                got = await handler.unary_unary(raw, context)
        except grpc.aio.AbortError:
            return _refusal(context)
        return answer.FromString(got if isinstance(got, bytes) else got.SerializeToString())

    def repeated(self) -> int:
        """Return how many calls the short cut answered; to be asked before `counted`."""
        methods = {method for method, _, _ in REQUESTS}
        return sum(self.metrics.requests.repeats(Rpc.of(method, RpcType.UNARY)).count for method in methods)

    def counted(self) -> Counter[tuple[str, bool]]:
        """Return how often each rpc was answered, and refused."""
        counted: Counter[tuple[str, bool]] = Counter()
        for (rpc, code), number in self.metrics.requests.counted().items():
            counted[rpc, code == "OK"] += number
        return counted

    def handed_out(self) -> set[tuple[str, str, int]]:
        """Return who got which generation of what."""
        records = [record for record in self.trail.records if record.outcome is AuditOutcome.HANDED_OUT]
        return {(record.caller, str(record.target), record.generation) for record in records}


def _refusal(context: Context) -> tuple[str, str]:
    return str(context.aborted.code), error_info(context.rich).reason


@dataclass
class Run:
    """One program over one broker."""

    world: EngineWorld
    last: Step = ("ask", USUAL[0], NAMES[0], True)

    async def begin(self) -> None:
        """Start the broker and its doors."""
        self.replica = await self.world.start()
        self.policy = CallerPolicy()
        self.use_rules("all", "wide")
        self.warm, self.plain = self._side(warm=True), self._side(warm=False)

    def _side(self, *, warm: bool) -> Side:
        replica, clock, trail, metrics = self.replica, self.replica.clock, MemoryTrail(), Metrics()
        policy, chance = self.policy, SystemRandomness()
        methods = warm_methods(replica.targets, replica.memory, clock, chance, policy) if warm else {}
        audit = audit_in_memory(clock, trail)
        guard = RpcGuard(
            Identity(policy, clock),
            Admission(policy, clock.seconds),
            Authorizer(policy, Subjects.of(replica.catalog)),
            OpenStreams(policy),
            CallAudit(audit),
            metrics,
            met=lambda _error, _caller: None,
            warm=methods,
        )
        door = Door()
        registrar: Any = Registrar(door, guard.choose)
        tokens = TokenServicer(AccessTokens(replica.targets, replica.engine), audit, clock)
        pages = JsSdkServicer(Signing(replica.targets, replica.engine, clock, chance), audit)
        pb_grpc.add_TokenServiceServicer_to_server(tokens, registrar)
        js_pb_grpc.add_JsSdkServiceServicer_to_server(pages, registrar)
        return Side(door, metrics, trail)

    def use_rules(self, rules: str, limits: str) -> None:
        """Reload the callers."""
        self.policy.replace(
            [
                Caller(
                    name,
                    token_sha256=sha256(f"token-of-{name}".encode()).hexdigest(),
                    rules=RULES[rules],
                    limits=LIMITS[limits],
                )
                for name in NAMES
            ]
        )

    async def take(self, step: Step) -> None:
        """Take a step."""
        match step:
            case ("ask", number, caller, warm_first):
                self.last = step
                await self.world.run(self.compare(*REQUESTS[number], caller, warm_first=warm_first))
            case ("again", times):
                for _ in range(times):
                    await self.take(self.last)
            case ("pass", seconds):
                await self.world.clock.advance(timedelta(seconds=seconds))
                await self.take(self.last)
            case _:
                await self.change(step)
                await self.take(self.last)

    async def change(self, step: Step) -> None:
        """Take a step that changes what is answered."""
        world = self.world
        match step:
            case ("rotate", key, kind):
                held = self.replica.memory.get(key.of_kind(kind))
                if held:
                    await world.run(outcome(self.replica.engine.replace(held.key, held.generation)))
            case ("share", shares):
                world.wecom.shares = list(shares)
                await world.run(outcome(self.replica.lister.sync(CRM)))
            case ("rules", rules, limits):
                self.use_rules(rules, limits)
            case ("open",):
                self.policy.replace([])
            case ("apps", apps):
                for app in apps:
                    world.wecom.set_secret(app)
                world.catalog.replace(Catalog({app.name: app for app in apps}))
            case ("fail", error):
                for endpoint in Endpoint:
                    world.wecom.fail(endpoint, lambda: error("as the test says"))
            case _:
                world.wecom.recover()

    async def compare(self, method: str, answer: Any, raw: bytes, caller: str, *, warm_first: bool) -> None:
        """Ask at both doors, and compare."""
        sides = (self.warm, self.plain) if warm_first else (self.plain, self.warm)
        answers = [await side.ask(method, answer, raw, caller) for side in sides]
        warm, plain = answers if warm_first else reversed(answers)
        if isinstance(warm, pb.GetAccessTokenResponse) and isinstance(plain, pb.GetAccessTokenResponse):
            assert timedelta(0) <= plain.ttl.ToTimedelta() - warm.ttl.ToTimedelta() <= TOLD_TO
            warm.ttl.CopyFrom(plain.ttl)
        elif not isinstance(warm, tuple) and not isinstance(plain, tuple):
            for message in (warm, plain):
                self.check_signatures(message)
        # The short cut refuses nothing: of two refusals in a row the chain may give the later another reason.
        assert warm == plain or (isinstance(warm, tuple) and isinstance(plain, tuple))

    def check_signatures(self, message: Any) -> None:
        """Check each signature, and take it and its nonce out."""
        kinds = {"config": CredentialKind.CORP_TICKET, "agent_config": CredentialKind.AGENT_TICKET}
        for part, kind in kinds.items():
            if part not in message.DESCRIPTOR.fields_by_name:
                continue
            signed = getattr(message, part)
            key = next(
                entry.key
                for entry in self.replica.memory
                if entry.key.corp_id == signed.corp_id
                and entry.key.kind is kind
                and entry.credential
                and entry.credential.generation == signed.generation
            )
            ticket = self.held(key)
            assert signed.signature == sign_url(ticket, signed.nonce_str, signed.timestamp, URL)
            signed.ClearField("signature")
            signed.ClearField("nonce_str")

    def held(self, key: CredentialKey) -> Any:
        """Return the value that is in memory."""
        credential = self.replica.memory.get(key)
        assert credential
        return credential.value


async def agrees(program: list[Step]) -> int:
    """Run a program; return how many answers came by the short cut."""
    async with EngineWorld() as world:
        run = Run(world)
        await run.begin()
        for step in program:
            await run.take(step)
        by_short_cut = run.warm.repeated()
        assert run.warm.counted() == run.plain.counted()
        assert run.warm.handed_out() == run.plain.handed_out()
        # Listings in the background meet the same WeCom that refuses.
        failures = run.replica.witness.failures
        failures[:] = [seen for seen in failures if not isinstance(seen[1], BrokerError)]
        return by_short_cut


@given(programs)
@settings(max_examples=MANY, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_short_cut_answers_as_the_whole_chain_does(program: list[Step]) -> None:
    asyncio.run(agrees(program))


def test_whoever_asks_again_is_answered_by_the_short_cut() -> None:
    answered = [number for number in USUAL if REQUESTS[number][2] not in REFUSED]
    once: list[Step] = [("ask", number, "orders", True) for number in answered]

    assert len(once) == asyncio.run(agrees(3 * once)) - asyncio.run(agrees(2 * once))


@pytest.mark.parametrize(
    "number", [number for number in USUAL if number and REQUESTS[number][2] not in REFUSED]
)
def test_a_target_that_came_to_mean_two_things_is_answered_no_more(number: int) -> None:
    ask: Step = ("ask", number, "orders", True)
    # A listing that began less than a cooldown ago is not made again.
    before: list[Step] = [ask, ask, ask, ("pass", 11)]
    both: Step = ("share", [CHILD_SHARE, replace(CHILD_SHARE, agent_id=99)])

    assert asyncio.run(agrees(before)) == asyncio.run(agrees([*before, both, ask]))
