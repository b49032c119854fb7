"""Whether the URL that WeCom is given leads to a broker with the same Token and EncodingAESKey.

The doctor asks as WeCom's console does when a URL is saved: a signed GET with a sealed text, whose plaintext
must come back (wecom-api C1). Nothing is stored by it.
"""

import asyncio
import secrets
import time
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urlsplit

import aiohttp

from broker.adapters.wecom.exchange import why_unreachable
from broker.domain.suites.catalog import Owner
from broker.domain.suites.suite import Suite
from broker.protocol.callbacks.envelope import RANDOM, CallbackKeys, seal, sign
from broker.server.diagnosis.finding import Finding, Level
from broker.usecases.callbacks.settings import CallbackSettings

ANSWERED_WITHIN = aiohttp.ClientTimeout(total=5)
"""WeCom gives up after as long (wecom-api C1)."""
MOST_BYTES = 4096
SAME_KEYS = (
    "compare Token and EncodingAESKey with 接收消息 in WeCom's console, and with what that broker has loaded"
)
WHY: Mapping[int, tuple[str, str]] = {
    HTTPStatus.FORBIDDEN: ("the broker there has another Token, or another clock", SAME_KEYS),
    HTTPStatus.BAD_REQUEST: ("the broker there cannot open it: it has another EncodingAESKey", SAME_KEYS),
    HTTPStatus.NOT_FOUND: (
        "nobody there serves this path",
        "let the load balancer pass /callback/ to [server] http, and reload brokers that lack the app",
    ),
}
OTHERWISE = ("that is no broker, or one that cannot answer", "look at the load balancer and the broker's log")


class Callbacks:
    """The URLs below one base, which WeCom or this machine reaches."""

    def __init__(self, base: str, *, given: bool) -> None:
        self._base = base.rstrip("/").removesuffix("/callback")
        self._given = given
        """Whether the operator named it; else it is this machine's own listener, which need not run."""

    async def examine(
        self, owners: Mapping[str, Owner], settings: Mapping[str, CallbackSettings]
    ) -> list[Finding]:
        """Return a finding for each that has a callback."""
        async with aiohttp.ClientSession(timeout=ANSWERED_WITHIN) as session:
            looked = (self._examined(session, owners[name], found) for name, found in settings.items())
            return list(await asyncio.gather(*looked))

    async def _examined(
        self, session: aiohttp.ClientSession, owner: Owner, settings: CallbackSettings
    ) -> Finding:
        subject, url = f"callback {owner.name}", f"{self._base}/callback/{owner.name}"
        if settings.check_sender:
            problem = f"{url} takes calls from WeCom's addresses alone (check_sender), so it was not tried"
            return Finding(Level.OK, subject, problem)
        receive_id = owner.suite_id if isinstance(owner, Suite) else owner.corp_id
        text = secrets.token_hex(8)
        try:
            async with session.get(
                url, params=_query(settings.keys, text, receive_id), allow_redirects=False
            ) as answer:
                status, body = answer.status, await answer.content.read(MOST_BYTES)
        except TimeoutError:
            return Finding(Level.FAIL, subject, f"{url} did not answer within 5 s", OTHERWISE[1])
        except (aiohttp.ClientError, OSError) as error:
            return self._unreachable(subject, url, error)
        if status == HTTPStatus.OK and body == text.encode():
            return Finding(Level.OK, subject, f"{url} opens what WeCom seals")
        why, remedy = WHY.get(status, OTHERWISE) if status != HTTPStatus.OK else OTHERWISE
        return Finding(Level.FAIL, subject, f"{url} answers HTTP {status}: {why}", remedy)

    def _unreachable(self, subject: str, url: str, error: Exception) -> Finding:
        if self._given:
            problem = f"{url} cannot be reached{why_unreachable(error) or f': {type(error).__name__}'}"
            host = urlsplit(url).hostname
            return Finding(Level.FAIL, subject, problem, f"look at DNS, certificate and listener of {host}")
        problem = f"no broker listens on this machine; WeCom must reach /callback/{subject.partition(' ')[2]}"
        return Finding(
            Level.OK, subject, f"{problem} (--callbacks https://… tries the address that it is given)"
        )


def _query(keys: CallbackKeys, text: str, receive_id: str) -> dict[str, str]:
    echostr = seal(keys, text.encode(), receive_id, secrets.token_bytes(RANDOM))
    timestamp, nonce = str(int(time.time())), str(secrets.randbelow(10**9))
    signature = sign(keys.token, timestamp, nonce, echostr)
    return {"msg_signature": signature, "timestamp": timestamp, "nonce": nonce, "echostr": echostr}
