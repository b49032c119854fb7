"""The broker of the matrix behind mutual TLS: for each row, callers that differ in one thing."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from wecom_broker import Broker, Tls

from broker.app.running_broker import RunningBroker
from broker.domain.access import Action
from broker.simulator.world.call_log import CallLog
from tests.integration.access.facts import Facts
from tests.integration.access.rows import ROWS, Key, Row
from tests.integration.suites.three_kinds import (
    ACME,
    CRM,
    MARKET,
    TAILORED,
    broker_of_three_kinds,
    installed,
)
from tests.kit.actions import rpcs
from tests.kit.processes.certificates import Authority, Pair
from tests.kit.processes.fleet import until

OWNER = "spiffe://example.org/owner"
APPS = (CRM, MARKET, TAILORED, ACME)
RPCS = rpcs()
EXCHANGE, LAST_READ = "/cgi-bin/service/v2/get_permanent_code", "/cgi-bin/agent/get_permissions"


class Who(StrEnum):
    """A caller of one row: it has a right to it, or all others but one."""

    ALLOWED = "allowed"
    OTHER_APP = "other-app"
    OTHER_CORP = "other-corp"
    OTHER_ACTION = "other-action"
    REVOKED = "revoked"
    """Allowed, until a reload."""
    LIMITED = "limited"
    """Allowed, once a minute."""


class Line:
    """A connection of one caller."""

    def __init__(self, channel: grpc.aio.Channel, log: CallLog) -> None:
        self._channel = channel
        self._log = log

    def call(self, rpc: str, *requests: Message) -> Any:
        """Begin a call; an upload without a request stays open."""
        method = RPCS[rpc]
        kind = {
            (False, False): self._channel.unary_unary,
            (False, True): self._channel.unary_stream,
            (True, False): self._channel.stream_unary,
        }[method.client_streaming, method.server_streaming]
        begin: Any = kind(
            rpc,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        if method.client_streaming:
            return begin(iter(requests) if requests else None, timeout=20)
        return begin(*requests, timeout=20)

    async def answer(self, rpc: str, request: Message) -> Any:
        """Return the answer; of a stream, the first message."""
        exchanges, reads = self._log.calls(EXCHANGE), self._log.calls(LAST_READ)
        call = self.call(rpc, request)
        try:
            return await (call.read() if RPCS[rpc].server_streaming else call)
        finally:
            call.cancel()
            if self._log.calls(EXCHANGE) > exchanges:
                # The broker then reads by itself what the corp allows: no other call is to be blamed for it.
                await until(lambda: self._log.calls(LAST_READ) > reads and not self._log.in_flight(LAST_READ))


class Desk:
    """The broker, its WeCom, and who may connect."""

    def __init__(
        self, broker: RunningBroker, facts: Facts, authority: Authority, stranger: Authority
    ) -> None:
        self.facts = facts
        self.authority = authority
        self.stranger = stranger
        """It signs for everybody, and nobody trusts it."""
        self._broker = broker

    async def request(self, key: Key) -> Message:
        """Return a sound request."""
        return await ROWS[key].build(self.facts)

    def asked(self) -> int:
        """Return how often WeCom was asked."""
        return self.facts.world.log.calls()

    @asynccontextmanager
    async def enter(self, pair: Pair) -> AsyncIterator[Line]:
        """Connect with a certificate."""
        credentials = grpc.ssl_channel_credentials(self.authority.pem, pair.private_key, pair.certificate)
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
        [address] = self._broker.grpc_addresses
        async with grpc.aio.secure_channel(address, credentials, options=options) as channel:
            yield Line(channel, self.facts.world.log)

    async def answer(self, pair: Pair, key: Key, request: Message) -> Any:
        """Return the answer to whoever has the certificate; of a stream, the first message."""
        async with self.enter(pair) as line:
            return await line.answer(key[0], request)

    def caller(self, key: Key, who: Who) -> Pair:
        """Return the certificate of one of the row's callers."""
        return self.authority.sign(uri=identity_of(key, who))

    def cut_short(self, key: Key) -> Pair:
        """Return a certificate that is the allowed caller's to whoever reads names only up to a NUL."""
        names = [x509.UniformResourceIdentifier(f"{identity_of(key, Who.ALLOWED)}\0.attacker.example")]
        return self.authority.sign_names(x509.SubjectAlternativeName(names))

    def revoke(self, key: Key) -> None:
        """Reload the callers, of whom one has lost its rules."""
        name, policy = name_of(key, Who.REVOKED), self._broker.policy
        policy.replace(
            [replace(caller, rules=()) if caller.name == name else caller for caller in policy.callers]
        )


@asynccontextmanager
async def open_desk(folder: Path) -> AsyncIterator[Desk]:
    """Run all of it inside the block."""
    authority = Authority()
    tls = authority.sign(dns="localhost", address="127.0.0.1").write(folder, "server")
    server = {"tls": {**tls, "client_ca": authority.write(folder)}}
    async with broker_of_three_kinds(folder, server=server, callers=[_owner(), *_callers()]) as (
        kinds,
        broker,
    ):
        pair = authority.sign(uri=OWNER)
        known = Tls(ca=authority.pem, certificate=pair.certificate, private_key=pair.private_key)
        async with Broker(kinds.address, tls=known) as owner:
            await installed(kinds, owner)
            yield Desk(broker, await Facts.of(kinds, owner), authority, Authority("nobody's CA"))


def name_of(key: Key, who: Who) -> str:
    """Return the name of a row's caller in the configuration."""
    rpc, action = key
    return f"{action}.{rpc.rpartition('/')[2]}.{who}"


def identity_of(key: Key, who: Who) -> str:
    """Return the SPIFFE id of a row's caller."""
    return f"spiffe://example.org/{name_of(key, who)}"


def _owner() -> dict[str, Any]:
    return {"name": "owner", "identity": OWNER, "allow": [_rule(["*"], ["*"], list(Action))]}


def _callers() -> Iterator[dict[str, Any]]:
    for key, row in ROWS.items():
        for who in Who:
            yield {
                "name": name_of(key, who),
                "identity": identity_of(key, who),
                "allow": [_allowed(key[1], row, who)],
                "limits": {"calls_per_minute": 1} if who is Who.LIMITED else {"forced_per_minute": 1000},
            }


def _allowed(action: Action, row: Row, who: Who) -> dict[str, Any]:
    """Return a rule for exactly the row, or for everything of it but one thing."""
    if who is Who.OTHER_APP:
        return _rule([app for app in APPS if app != row.app], ["*"], [action])
    if who is Who.OTHER_CORP:
        return _rule(["*"], [row.other_corp], [action])
    if who is Who.OTHER_ACTION:
        return _rule(["*"], ["*"], [other for other in Action if other != action])
    return _rule([row.app], [row.corp], [action], [row.path] if row.path else [])


def _rule(
    apps: list[str], corps: list[str], actions: list[Action], paths: list[str] | None = None
) -> dict[str, Any]:
    return {
        "apps": apps,
        "corps": corps,
        "actions": [action.value for action in actions],
        "paths": ["*"] if paths is None else paths,
    }
