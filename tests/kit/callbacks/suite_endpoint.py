"""A broker that serves a provider's suites: tests post to its URLs as WeCom does, and read its events."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wecom_broker.v1 import callback_service_pb2_grpc as callback_grpc
from wecom_broker.v1 import event_service_pb2 as event_pb

from broker.app.running_broker import RunningBroker
from broker.simulator import provider_demo as demo
from broker.simulator.callbacks.cdata import document
from broker.simulator.crypto import CallbackKeys
from broker.simulator.world import World
from tests.integration.acting.acting import Acting, acting
from tests.kit.callbacks.endpoint import looking_on
from tests.kit.callbacks.sender import CallbackSender
from tests.kit.callbacks.suite_samples import MARKET_ID, PROVIDER_CORP, TAILORED_ID

OFFICIAL_KEY = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
URLS = {"market": "QDG6eK", "tailored": "Tailored", "acme": "Acme", "tailored/wpClient": "Client"}
"""The Tokens by URL; the first is the one of Tencent's sample."""


def callback(token: str, **keys: Any) -> dict[str, Any]:
    return {"token": token, "aes_key": OFFICIAL_KEY, **keys}


def tables(**keys: Any) -> dict[str, Any]:
    """Return the provider and its suites; `keys` are added to each callback."""

    def suite(name: str, kind: str, suite_id: str, secret: str, **more: Any) -> dict[str, Any]:
        return {
            "name": name,
            "kind": kind,
            "suite_id": suite_id,
            "suite_secret": secret,
            "provider": "acme",
            "callback": callback(URLS[name], **keys),
            **more,
        }

    return {
        "apps": [
            suite("market", "third_party", MARKET_ID, demo.MARKET_SECRET),
            suite(
                "tailored",
                "customized",
                TAILORED_ID,
                demo.TAILORED_SECRET,
                corp_callbacks={"wpClient": callback(URLS["tailored/wpClient"], **keys)},
            ),
        ],
        "providers": [
            {
                "name": "acme",
                "corp_id": PROVIDER_CORP,
                "secret": demo.PROVIDER_SECRET,
                "callback": callback(URLS["acme"], **keys),
            }
        ],
    }


@dataclass(frozen=True)
class SuiteEndpoint:
    """The broker, with a sender for each of its callback URLs."""

    acting: Acting
    senders: dict[str, CallbackSender]

    @property
    def world(self) -> World:
        return self.acting.world

    @property
    def broker(self) -> RunningBroker:
        return self.acting.broker

    @property
    def service(self) -> Any:
        """Return `CallbackService`."""
        return callback_grpc.CallbackServiceStub(self.acting.channel)  # type: ignore[no-untyped-call]

    async def post(self, url: str, receive_id: str, xml: str | bytes, **options: Any) -> tuple[int, str]:
        """Post a message, and return status and body."""
        message = xml if isinstance(xml, bytes) else xml.encode()
        answer = await self.senders[url].post(message, receive_id=receive_id, **options)
        return answer[:2]

    async def log(self, app: str) -> list[event_pb.Event]:
        """Return all events of the app written so far, in order."""
        receiver, name = {
            "market": (MARKET_ID, "SuiteId"),
            "tailored": (TAILORED_ID, "SuiteId"),
            "acme": (PROVIDER_CORP, "ServiceCorpId"),
        }[app]
        last = document(**{name: receiver, "InfoType": "the_last_one", "TimeStamp": 1763020800})
        assert (200, "success") == await self.post(app, receiver, last)
        found = []
        async for event in looking_on(self.acting.channel, app):
            if event.event_type == "the_last_one":
                return found
            found.append(event)
        raise AssertionError("the stream ended")

    def receivers(self) -> dict[tuple[str, str], int]:
        """Return the number of accepted callbacks by app and by what they were sealed for."""
        [metric] = self.broker.telemetry.metrics.callback_receivers.collect()
        return {
            (sample.labels["app"], sample.labels["form"]): int(sample.value)
            for sample in metric.samples
            if sample.name.endswith("_total") and sample.value
        }


@asynccontextmanager
async def suite_door(folder: Path, **keys: Any) -> AsyncIterator[SuiteEndpoint]:
    """Run a broker and a simulated WeCom with the provider's suites; nothing is installed."""
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(acting(folder, **tables(**keys)))
        demo.add_provider(running.world)
        demo.add_group(running.world, 3)
        senders = {}
        for url, token in URLS.items():
            address = f"http://127.0.0.1:{running.broker.http_port}/callback/{url}"
            sender = CallbackSender.open(address, CallbackKeys(token, OFFICIAL_KEY))
            senders[url] = await stack.enter_async_context(sender)
        yield SuiteEndpoint(running, senders)
