"""A broker with its console, and a browser in front of it."""

import base64
import hashlib
import json
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from broker.simulator import World, demo_world
from tests.kit.broker_here import BrokerHere, broker_here

OPS, WATCHER, CRM_ONLY, ORDERS = "the-token-of-ops", "of-the-watcher", "of-crm-only", "of-orders"
READ, REFRESH = "admin.read", "admin.refresh"


def caller(name: str, token: str, apps: Sequence[str], *actions: str) -> dict[str, Any]:
    digest = hashlib.sha256(token.encode()).hexdigest()
    return {"name": name, "token_sha256": digest, "allow": [{"apps": list(apps), "actions": list(actions)}]}


CALLERS = [
    caller("ops", OPS, ["*"], READ, REFRESH, "token.get"),
    caller("watcher", WATCHER, ["*"], READ),
    caller("crm-only", CRM_ONLY, ["crm"], READ, REFRESH),
    caller("orders", ORDERS, ["*"], "token.get"),
]


def basic(token: str, user: str = "whoever") -> dict[str, str]:
    """Return the headers of a browser that was given the token as a password."""
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{token}'.encode()).decode()}"}


@dataclass(frozen=True)
class Answer:
    """What the browser got."""

    status: int
    headers: "aiohttp.typedefs.CIMultiDictProxy[str]"
    text: str


class Browser:
    """Asks the console, and follows nothing by itself."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self._session = session
        self.base = base
        self.own = {"Origin": base}

    async def get(self, path: str = "/", token: str = "", **headers: str) -> Answer:
        return await self._ask("GET", path, {**(basic(token) if token else {}), **headers})

    async def try_again(self, app: str, token: str = "", headers: dict[str, str] | None = None) -> Answer:
        """Press the button."""
        sent = {**(basic(token) if token else {}), **(self.own if headers is None else headers)}
        return await self._ask("POST", "/retry", sent, {"retry": app, "lang": "en"})

    async def _ask(
        self, method: str, path: str, headers: dict[str, str], data: dict[str, str] | None = None
    ) -> Answer:
        asking = self._session.request(
            method, self.base + path, headers=headers, data=data, allow_redirects=False
        )
        async with asking as answer:
            return Answer(answer.status, answer.headers, await answer.text())


@dataclass(frozen=True)
class Place:
    """The broker and the browser."""

    here: BrokerHere
    browser: Browser
    audit: Path
    """Where the broker's audit trail is."""

    def records(self) -> list[dict[str, Any]]:
        """Return the audit records, once no more are to come."""
        self.here.broker.audit.close()
        return [json.loads(line) for line in self.audit.read_text().splitlines()]


@asynccontextmanager
async def console(
    folder: Path,
    world: World | None = None,
    *,
    apps: Sequence[str] = ("crm", "hr"),
    tls: dict[str, Any] | None = None,
    client: ssl.SSLContext | None = None,
    **tables: Any,
) -> AsyncIterator[Place]:
    """Run both; with `tls` the browser speaks HTTPS, with the client's context."""
    table = {"listen": "127.0.0.1:0", **({"tls": tls} if tls else {})}
    audit = folder / "audit.log"
    tables["audit"] = {"file": str(audit)}
    async with broker_here(folder, world or demo_world(), apps, console=table, **tables) as here:
        base = f"{'https' if tls else 'http'}://127.0.0.1:{here.broker.console_port}"
        connector = aiohttp.TCPConnector(ssl=client) if client else None
        async with aiohttp.ClientSession(connector=connector) as session:
            yield Place(here, Browser(session, base), audit)
