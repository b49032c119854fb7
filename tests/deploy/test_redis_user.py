"""The Redis user that docs/operations.md gives a broker may do what it needs, and no more."""

import asyncio
import re
from pathlib import Path

import pytest
from wecom_broker import Broker

from broker.domain.errors import StoreUnavailable
from broker.simulator.demo import CALLBACK_AES_KEY, CALLBACK_TOKEN, PARENT
from tests.contract.logs import test_redis_event_log as of_the_event_log
from tests.contract.redis import test_access as of_the_store
from tests.contract.redis import test_attacks as of_attacks
from tests.deploy.files import ROOT
from tests.kit.callbacks.sender import CallbackSender
from tests.kit.processes.broker_process import BrokerProcess
from tests.kit.redis_at import connect_redis

SEAL_KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
TEXT = (
    f"<xml><ToUserName>{PARENT.corpid}</ToUserName><FromUserName>zhangsan</FromUserName>"
    "<CreateTime>1795390000</CreateTime><MsgType>text</MsgType><Content>hello</Content><MsgId>1</MsgId>"
    f"<AgentID>{PARENT.agentid}</AgentID></xml>"
)


def rights() -> list[str]:
    found = re.search(r"`(~wecom-broker:\*[^`]+)`", (ROOT / "docs" / "operations.md").read_text())
    assert found
    return found[1].split()


def test_the_user_may_do_what_the_store_and_the_event_log_need_and_no_more():
    needed = {*of_the_store.LEAST.split(), *of_the_event_log.LEAST.split(), *of_attacks.MENDING.split()}

    assert sorted(needed) == sorted(rights())


async def test_another_database_than_0_needs_the_right_that_the_page_adds(tmp_path: Path):
    page = (ROOT / "docs" / "operations.md").read_text()
    added = re.search(r"Another database than 0.*the user needs `([^`]+)` more", page)
    assert added
    least = f"on >{of_the_store.PASSWORD} {' '.join(rights())}"
    with of_the_store.redis_with(
        tmp_path, f"user without {least}", f"user broker {least} {added[1]}"
    ) as server:
        other = of_the_store.url(server).removesuffix("/0") + "/1"
        async with connect_redis(other) as client:
            assert await client.seconds()
        async with connect_redis(other.replace("broker:", "without:")) as client:
            with pytest.raises(StoreUnavailable, match="'select' command"):
                await client.seconds()


async def test_a_broker_takes_in_and_hands_out_events_with_it(tmp_path: Path):
    user = f"user broker on >{of_the_store.PASSWORD} {' '.join(rights())}"
    with of_the_store.redis_with(tmp_path / "redis", user) as server:
        config = {
            "store": {"url": of_the_store.url(server), "seal_keys": [{"id": "k1", "key": SEAL_KEY}]},
            "wecom": {"api_base": "http://127.0.0.1:1"},
            "apps": [
                {
                    "name": "crm",
                    "corp_id": PARENT.corpid,
                    "agent_id": PARENT.agentid,
                    "secret": "none",
                    "callback": {"token": CALLBACK_TOKEN, "aes_key": CALLBACK_AES_KEY},
                }
            ],
        }
        with BrokerProcess(tmp_path / "broker", config, forked=True) as process:
            url = f"http://127.0.0.1:{process.http_port}/callback/crm"
            async with (
                CallbackSender.open(url) as wecom,
                Broker(process.address) as broker,
                asyncio.timeout(30),
            ):
                status, said, _ = await wecom.post(TEXT.encode())
                event = await anext(broker.events(group="mail"))
                acknowledged = await broker.acknowledge_events("mail", [event])

    assert (200, "success") == (status, said)
    assert ("text", "hello") == (event.event_type, event.fields["Content"])
    assert 1 == acknowledged
    assert "permission" not in process.log.read_text()
