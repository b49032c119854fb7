"""What WeCom checks around every endpoint, in its order: method, token, limits, body."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from broker.simulator.answers import Answer, Refusal, errmsg
from broker.simulator.endpoints.app_check import check_app
from broker.simulator.endpoints.call import Call
from broker.simulator.endpoints.registry import Endpoint
from broker.simulator.endpoints.suite_check import check_provider, check_suite
from broker.simulator.world import World
from broker.simulator.world.media import UploadedFile
from broker.simulator.world.tokens import AppToken, ProviderToken, SuiteToken, Token, TokenKind


@dataclass(frozen=True, slots=True)
class Incoming:
    """Hold a request as it was received."""

    method: str
    query: Mapping[str, str]
    body: bytes
    ip: str
    file: UploadedFile | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Hold the answer, and what the log records."""

    errcode: int
    payload: Answer | UploadedFile
    corpid: str = ""
    agentid: int | None = None


def answer(world: World, endpoint: Endpoint, incoming: Incoming) -> Outcome:
    """Check the call and have the endpoint answer it; any refusal becomes an errcode."""
    token = _token_of(world, endpoint, incoming)
    corpid = token.owner.app.corpid if token else incoming.query.get("corpid", "")
    agentid = token.owner.app.agentid if token else None
    try:
        _check_method(endpoint, incoming)
        _check_limits_of_address(world, endpoint, incoming)
        if endpoint.token is not None:
            _check_token(world, endpoint.token, token, incoming)
        if not world.quotas.spend(endpoint.path, corpid, world.now()):
            raise Refusal(45009)
        body = _read_body(endpoint, incoming)
        call = Call(endpoint.path, incoming.query, body, incoming.ip, token, incoming.file)
        result = endpoint.act(world, call)
    except Refusal as refusal:
        payload = refuse(world, refusal.errcode, refusal.detail, incoming.ip)
        return Outcome(refusal.errcode, payload, corpid, agentid)
    if isinstance(result, UploadedFile):
        return Outcome(0, result, corpid, agentid)
    silent = endpoint.path in world.settings.omit_errcode
    return Outcome(0, result if silent else {"errcode": 0, "errmsg": "ok", **result}, corpid, agentid)


def refuse(world: World, errcode: int, detail: str, ip: str) -> Answer:
    """Return the answer of a refusal."""
    return {
        "errcode": errcode,
        "errmsg": errmsg(errcode, hint=world.hint(), ip=ip, detail=detail),
    }


def _token_of(world: World, endpoint: Endpoint, incoming: Incoming) -> Token | None:
    if endpoint.token is None:
        return None
    return world.books[endpoint.token].find(incoming.query.get(endpoint.token.query_name, ""))


def _check_method(endpoint: Endpoint, incoming: Incoming) -> None:
    if incoming.method != endpoint.method:
        raise Refusal(40058, f"wrong http method, should be {endpoint.method}")


def _check_limits_of_address(world: World, endpoint: Endpoint, incoming: Incoming) -> None:
    # Whether the ban covers more than the endpoints that take a secret is not documented: a setting decides.
    covered = endpoint.token is None or world.settings.ban_covers_everything
    if covered and world.bans.banned(incoming.ip, world.now()):
        raise Refusal(45009, "api freq out of limit, too many wrong secrets from this ip")


def _check_token(world: World, kind: TokenKind, token: Token | None, incoming: Incoming) -> None:
    if not incoming.query.get(kind.query_name):
        raise Refusal(kind.missing)
    if token is None:
        raise Refusal(kind.invalid)
    of_app = kind is AppToken
    settings = world.settings
    if token.death is not None:
        raise Refusal(settings.death_errcode if of_app else settings.dead_suite_token_errcode)
    if not token.alive(world.now()):
        raise Refusal(settings.expiry_errcode if of_app else settings.expired_suite_token_errcode)
    check_holder = {AppToken: check_app, SuiteToken: check_suite, ProviderToken: check_provider}[kind]
    check_holder(world, token.owner.app, incoming.ip)


def _read_body(endpoint: Endpoint, incoming: Incoming) -> Mapping[str, object]:
    if endpoint.method == "GET" or endpoint.form_bytes or endpoint.bodyless:
        return {}
    if not incoming.body.strip():
        raise Refusal(40063)
    try:
        body = json.loads(incoming.body)
    except (ValueError, RecursionError):
        raise Refusal(40035) from None
    if not isinstance(body, dict):
        raise Refusal(40035)
    return body
