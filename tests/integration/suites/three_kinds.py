"""One broker with a self-built app, a third-party app and a 代开发 app, each in a parent and its children."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from wecom_broker import AccessToken, Broker, PageSignature
from wecom_broker.errors import CorpNotAuthorized
from yarl import URL

from broker.app.running_broker import RunningBroker, running_broker
from broker.config.load import parse_config
from broker.simulator import Callback, CustomizedShare, EventKind, World, provider_demo
from broker.simulator.callbacks.sender import send_event
from broker.simulator.callbacks.suite_sender import send_suite_event
from broker.simulator.crypto import CallbackKeys
from broker.simulator.demo import CALLBACK_KEYS, SECRET, demo_world
from broker.simulator.demo import PARENT as OWNER
from broker.simulator.provider_demo import CALLBACK_KEYS as KEYS
from broker.simulator.provider_demo import INSTALLER, MEMBER, PARENT, child
from broker.simulator.server import running_simulator
from broker.simulator.world.people.mini_program import sign_data
from tests.integration.suites.one_client import CHECKED, Place
from tests.kit.processes.fleet import PREFIX, SEAL_KEY, until

CRM, MARKET, TAILORED, ACME = "crm", "market", "tailored", "acme"
OWNED = "ww1child000000001"
"""A child with which the self-built app is shared."""
BY_TOKEN, BY_INSTALLATION = child(1), child(2)
"""Children of the 代开发 app: one is reached by the parent's token only, the other installed it itself."""


@dataclass(frozen=True)
class Kinds:
    """What runs."""

    world: World
    wecom_url: str
    address: str
    """Where clients connect."""

    def corpid(self, corp: str, suite: str = MARKET) -> str:
        """Return the id by which the provider knows a corp."""
        return self.world.suites.corpid(suite, corp)


def tables(wecom_url: str, store_url: str, **more: Any) -> dict[str, Any]:
    """Return the configuration of all three; `more` is added to its tables."""
    config: dict[str, Any] = {
        "server": {"grpc": ["127.0.0.1:0"], "http": "127.0.0.1:0", "drain_seconds": 0},
        "store": {"url": store_url, "prefix": PREFIX, "seal_keys": [{"id": "k1", "key": SEAL_KEY}]},
        "wecom": {"api_base": wecom_url, "timeout_seconds": 20},
        "providers": [
            {
                "name": ACME,
                "corp_id": provider_demo.PROVIDER,
                "secret": provider_demo.PROVIDER_SECRET,
                "callback": _callback(KEYS[ACME]),
            }
        ],
        "apps": [
            {
                "name": CRM,
                "corp_id": OWNER.corpid,
                "agent_id": OWNER.agentid,
                "secret": SECRET,
                "callback": _callback(CALLBACK_KEYS),
            },
            {
                "name": MARKET,
                "kind": "third_party",
                "suite_id": provider_demo.MARKET,
                "suite_secret": provider_demo.MARKET_SECRET,
                "provider": ACME,
                "callback": _callback(KEYS[MARKET]),
            },
            {
                "name": TAILORED,
                "kind": "customized",
                "suite_id": provider_demo.TAILORED,
                "suite_secret": provider_demo.TAILORED_SECRET,
                "provider": ACME,
                "callback": _callback(KEYS[TAILORED]),
                "corp_callback": _callback(KEYS[TAILORED]),
            },
        ],
    }
    for name, table in more.items():
        config[name] = {**config.get(name, {}), **table} if isinstance(table, Mapping) else table
    return config


def three_kinds_world() -> World:
    """Return a WeCom of a corp group with a self-built app, and of one that may install acme's apps."""
    world = demo_world()
    provider_demo.add_provider(world)
    provider_demo.add_group(world, 3)
    return world


def _callback(keys: CallbackKeys) -> dict[str, str]:
    return {"token": keys.token, "aes_key": keys.encoding_aes_key}


def call_back(world: World, base: str) -> None:
    """Send all events to the broker whose callbacks are below `base`."""
    world.callbacks.set(Callback(f"{base}/{CRM}", CALLBACK_KEYS))
    provider_demo.call_back(world, base)


@asynccontextmanager
async def three_kinds(folder: Path, *, has_tickets: bool = True, **more: Any) -> AsyncIterator[Kinds]:
    """Run the broker and its WeCom inside the block; nobody has installed the suites."""
    async with broker_of_three_kinds(folder, has_tickets=has_tickets, **more) as (kinds, _):
        yield kinds


@asynccontextmanager
async def broker_of_three_kinds(
    folder: Path, *, has_tickets: bool = True, **more: Any
) -> AsyncIterator[tuple[Kinds, RunningBroker]]:
    """Run them as `three_kinds` does, for who also looks into the broker."""
    world = three_kinds_world()
    async with running_simulator(world) as url:
        config = parse_config(tables(url, f"sqlite:///{folder}/broker.db", **more))
        async with running_broker(config) as broker:
            call_back(world, f"http://127.0.0.1:{broker.http_port}/callback")
            for suite in (MARKET, TAILORED) if has_tickets else ():
                world.console.tickets.push(suite)
            await world.callbacks.outbox.settled()
            yield Kinds(world, url, broker.grpc_addresses[0]), broker


async def installed(kinds: Kinds, broker: Broker) -> None:
    """Install both suites in the parent, share them with children, and return once the broker knows it."""
    console = kinds.world.console
    for suite in (MARKET, TAILORED):
        console.install(suite, PARENT)
    await _read(kinds, broker, {MARKET: [PARENT], TAILORED: [PARENT]})
    console.install_by_share(MARKET, PARENT, [BY_TOKEN])
    console.install_by_share(TAILORED, PARENT, [BY_TOKEN], way=CustomizedShare.CHILD_TOKEN)
    console.install_by_share(TAILORED, PARENT, [BY_INSTALLATION], way=CustomizedShare.CREATE_AUTH)
    await _read(kinds, broker, {MARKET: [PARENT, BY_TOKEN], TAILORED: [PARENT, BY_INSTALLATION]})

    async def is_reached() -> bool:
        try:
            await broker.access_token(TAILORED, kinds.corpid(BY_TOKEN))
        except CorpNotAuthorized:
            return False
        return True

    await until(is_reached)


async def _read(kinds: Kinds, broker: Broker, expected: Mapping[str, list[str]]) -> None:
    """Return once the broker has read of each of these corps, by suite, what it allows."""
    await kinds.world.callbacks.outbox.settled()
    ids = {suite: {kinds.corpid(corp) for corp in corps} for suite, corps in expected.items()}

    async def all_read() -> bool:
        found = {
            suite: {known.corp_id async for known in broker.authorizations(suite) if known.agents}
            for suite in ids
        }
        return found == ids

    await until(all_read)


@dataclass(frozen=True)
class Case:
    """A corp in which the one program is run, and what is true of it at WeCom."""

    app: str
    corp: str
    """By its plain corpid."""
    member: str = MEMBER
    login_corp: str = ""
    parent: str = ""
    shared: tuple[str, ...] = field(default=())
    """With whom the app is shared."""

    @property
    def is_suite(self) -> bool:
        """Return whether a provider has the app."""
        return self.app != CRM

    def place(self, kinds: Kinds) -> Place:
        """Return what the program is given."""
        known = [self._known(kinds, corp) for corp in (self.corp, self.login_corp, self.parent)]
        return Place(self.app, *known)

    def shares(self, kinds: Kinds) -> set[str]:
        """Return the ids of the corps that the app is shared with."""
        return {self._known(kinds, corp) for corp in self.shared}

    def agent_id(self, kinds: Kinds) -> int:
        """Return the app's agent id in this corp."""
        apps = kinds.world.corps.get(self.corp).apps.values()
        if not self.is_suite:
            return next(app.agentid for app in apps)
        suite_id = kinds.world.suites.get(self.app).suite_id
        return next(app.agentid for app in apps if app.suite_id == suite_id)

    def user_id(self, kinds: Kinds) -> str:
        """Return the id by which the app knows the member."""
        if not self.is_suite:
            return self.member
        return kinds.world.suites.provider(ACME).userid(self.corp, self.member)

    def _known(self, kinds: Kinds, corp: str) -> str:
        return kinds.corpid(corp) if corp and self.is_suite else corp


_OWNED = tuple(f"ww1child{number:09d}" for number in range(1, 6))
_OF_TAILORED = (BY_TOKEN, BY_INSTALLATION)
CASES = {
    "self-built, parent": Case(CRM, OWNER.corpid, "zhangsan", shared=_OWNED),
    "self-built, child": Case(CRM, OWNED, shared=_OWNED),
    "third-party, parent": Case(MARKET, PARENT, INSTALLER, parent=PARENT, shared=(BY_TOKEN,)),
    "third-party, child": Case(MARKET, BY_TOKEN, parent=PARENT, shared=(BY_TOKEN,)),
    "customized, parent": Case(TAILORED, PARENT, INSTALLER, PARENT, PARENT, _OF_TAILORED),
    "customized, child by token": Case(TAILORED, BY_TOKEN, MEMBER, PARENT, PARENT, _OF_TAILORED),
    "customized, child that installed": Case(
        TAILORED, BY_INSTALLATION, MEMBER, BY_INSTALLATION, PARENT, _OF_TAILORED
    ),
}


class Simulated:
    """The outside of a case, played by the simulator; see `one_client.Outside`."""

    def __init__(self, kinds: Kinds, case: Case) -> None:
        self._kinds = kinds
        self._world = kinds.world
        self._case = case
        self.links: list[str] = []
        self.killed: list[str] = []

    async def page_works(self, signed: PageSignature, url: str) -> Mapping[str, str]:
        """Have the simulator's page recompute both signatures, as a browser does."""
        said = {}
        async with aiohttp.ClientSession() as session:
            for kind, made in (("corp", signed.config), ("agent", signed.agent_config)):
                query = {
                    "corp": made.corp_id,
                    "agentid": signed.agent_config.agent_id,
                    "kind": kind,
                    "url": url.partition("#")[0],
                    "timestamp": made.timestamp,
                    "nonceStr": made.nonce_str,
                    "signature": made.signature,
                }
                page = URL(f"{self._kinds.wecom_url}/page").with_query(query)
                async with session.get(page) as response:
                    said[kind] = (await response.text()).partition('data-errcode="')[2].partition('"')[0]
        return said

    def follow(self, link: str) -> str:
        """Return the code of a member who follows the link of the app."""
        self.links.append(link)
        case, people = self._case, self._world.people
        if not case.is_suite:
            return people.login_code(case.corp, case.member, privateinfo=True)
        parent = self._parent()
        return people.suite_login_code(case.app, case.corp, case.member, privateinfo=True, parent=parent)

    def open_mini_program(self) -> str:
        """Return the js_code of a member."""
        case, people = self._case, self._world.people
        if not case.is_suite:
            return people.js_code(case.corp, case.member)
        return people.suite_js_code(case.app, case.corp, case.member, parent=self._parent())

    def encrypt(self, fields: Mapping[str, object]) -> tuple[str, str]:
        """Encrypt as the member's mini-program does."""
        return self._world.people.encrypt_data(self._case.corp, self._case.member, fields)

    def sign(self, raw_data: str) -> str:
        """Sign as the member's mini-program does."""
        return sign_data(self.session_key(), raw_data)

    def session_key(self) -> str:
        """Return the session_key that the member's mini-program holds."""
        return self._world.people.session_key_of(self._case.corp, self._case.member)

    def kill(self, token: AccessToken) -> None:
        """Let the token die early."""
        assert self._world.kill(token.value)
        self.killed.append(token.value)

    async def enter(self) -> None:
        """Send the event of a member who opens the app."""
        case = self._case
        if not case.is_suite:
            [delivery] = await send_event(self._world, CHECKED, case.corp, case.member)
        else:
            delivery = await send_suite_event(
                self._world,
                case.app,
                EventKind(CHECKED),
                case.corp,
                parent=self._parent(),
                userid=case.member,
            )
        assert delivery.accepted

    def _parent(self) -> str:
        """Return who has the app that the case's corp uses through a share alone."""
        case = self._case
        return case.login_corp if case.login_corp not in ("", case.corp) else ""
