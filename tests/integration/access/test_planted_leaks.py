"""The search for secrets finds a leak wherever there is one: each of these brokers has one."""

from pathlib import Path

import grpc.aio
import pytest

from broker.simulator.demo import demo_world
from broker.simulator.server import running_simulator
from tests.kit.every_rpc import told
from tests.kit.processes.broker_process import BrokerProcess
from tests.kit.processes.fleet import configuration, connect
from tests.kit.processes.left_behind import left_behind
from tests.kit.secrecy import forms, leaks

LEAKS = {
    "": "",
    "log": "broker.log",
    "log in base64": "broker.log",
    "traceback": "broker.log",
    "metrics": "metrics",
    "audit": "audit.log",
    "store": "broker.db",
    "errors": "what callers were told",
}
"""Where each leak must be found."""


@pytest.mark.parametrize("leak", LEAKS)
async def test_each_leak_is_found_where_it_is_and_nowhere_else(tmp_path: Path, leak: str) -> None:
    (tmp_path / "store").mkdir()
    async with running_simulator(demo_world()) as url:
        config = configuration(
            url, f"sqlite:///{tmp_path}/store/broker.db", audit={"file": f"{tmp_path}/audit.log"}
        )
        with BrokerProcess(tmp_path / "broker", config, leak=leak, forked=True) as broker:
            async with connect(broker.address) as (replica,):
                token = (await replica.token()).value
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await replica.of("unknown").token()
            haystacks = left_behind(tmp_path, [broker], None, None)
            haystacks["what callers were told"] = told(refused.value).encode()
    found = leaks({"token": forms(token)}, haystacks)

    if not leak:
        assert set() == found
    else:
        assert found
        assert {place for _, place in found if LEAKS[leak] not in place} == set()
