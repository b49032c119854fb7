"""Incidents at WeCom: it refuses, is away, or shares the app no more."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from grpc.aio import AioRpcError

from broker.simulator.demo import PARENT, SECRET
from broker.simulator.world.corps import App, AppId
from broker.simulator.world.faults import Delay, HttpStatus
from tests.incidents.ground import Ground, Told, ground
from tests.kit.processes.fleet import refused, until

CHILD = AppId("ww1child000000001", 1000010)


def _app(ground: Ground) -> App:
    return ground.world.corps.get(PARENT.corpid).apps[PARENT.agentid]


def _change(ground: Ground, **fields: Any) -> None:
    """Change the app in WeCom's console."""
    apps = ground.world.corps.get(PARENT.corpid).apps
    apps[PARENT.agentid] = replace(apps[PARENT.agentid], **fields)


def _set_secret(secret: str) -> Any:
    return lambda config: config["apps"][0].update(secret=secret)


async def wrong_secret(folder: Path, told: Told) -> None:
    async with ground(folder, told, _set_secret("a-secret-that-is-wrong")) as here:
        assert "SECRET_REJECTED" == (await refused(here.crm.token())).reason
        remedy = await here.named("FAIL", "crm", "SECRET_REJECTED 40001", "WecomBrokerRefusedByWecom")
        assert "correct the secret of crm and reload" in remedy
        await here.reload(_set_secret(SECRET))
        assert (await here.crm.token()).value
        here.worked()


async def untrusted_address(folder: Path, told: Told) -> None:
    async with ground(folder, told) as here:
        _change(here, trusted_ips=frozenset({"203.0.113.9"}))
        assert "IP_NOT_TRUSTED" == (await refused(here.crm.token())).reason
        remedy = await here.named("FAIL", "crm", "WeCom sees 127.0.0.1", "WecomBrokerRefusedByWecom")
        assert "add 127.0.0.1 to the app's 企业可信IP" in remedy
        _change(here, trusted_ips=frozenset({"127.0.0.1"}))
        assert "forgotten" in await here.carried_out(remedy)
        assert (await here.crm.token()).value
        here.worked()


async def app_disabled(folder: Path, told: Told) -> None:
    async with ground(folder, told) as here:
        _change(here, enabled=False)
        assert "APP_DISABLED" == (await refused(here.crm.token())).reason
        assert "APP_DISABLED" == (await refused(here.crm.token(CHILD.corpid))).reason
        remedy = await here.named("FAIL", "crm", "APP_DISABLED", "WecomBrokerRefusedByWecom")
        assert "enable the app" in remedy
        _change(here, enabled=True)
        await here.carried_out(remedy)
        assert (await here.crm.token()).value
        assert (await here.crm.token(CHILD.corpid)).value
        here.worked()


async def share_removed(folder: Path, told: Told) -> None:
    async with ground(folder, told) as here:
        world = here.world
        token = await here.crm.token(CHILD.corpid)
        [share] = [one for one in world.shares if one.child == CHILD]
        world.shares.remove(PARENT, CHILD, share.business_type)
        world.kill(token.value)
        assert "APP_NOT_SHARED" == (await refused(here.crm.report(token))).reason
        remedy = await here.named("WARN", "crm", "APP_NOT_SHARED", "WecomBrokerShareEndUnannounced")
        assert "share the app with the corp" in remedy
        assert any("no event said so" in found["problem"] for found in await here.doctor())
        world.share(PARENT, CHILD, corp_name="华东公司")
        await here.carried_out(remedy)
        assert (await here.crm.token(CHILD.corpid)).value
        here.worked()


async def wecom_away(folder: Path, told: Told) -> None:
    async with ground(folder, told) as here:
        here.world.faults.add("gettoken", Delay(1.3), times=1)
        token = await here.crm.token()
        assert any("answers slowly" in found["problem"] for found in await here.doctor())

        here.world.faults.add("*", HttpStatus(502))
        assert "WECOM_UNAVAILABLE" == (await refused(here.crm.token(CHILD.corpid))).reason
        remedy = await here.named("FAIL", "wecom", "WeCom answered HTTP 502", "WecomBrokerWecomAway")
        assert "heals by itself" in remedy
        assert token.value == (await here.crm.token()).value
        here.world.faults.clear()

        async def serves_again() -> bool:
            try:
                return bool((await here.crm.token(CHILD.corpid)).value)
            except AioRpcError:
                return False

        await until(serves_again)
        assert not [found for found in await here.doctor() if found["level"] == "FAIL"]
        here.worked()


def _away_from(config: dict[str, Any]) -> None:
    config["wecom"].update(api_base="http://qyapi.invalid:PORT")


def _fixed(config: dict[str, Any]) -> None:
    _away_from(config)
    config["wecom"]["resolve"] = {"qyapi.invalid": ["127.0.0.1"]}


async def no_name_server(folder: Path, told: Told) -> None:
    async with ground(folder, told, _away_from) as here:
        assert "WECOM_UNAVAILABLE" == (await refused(here.crm.token())).reason
        remedy = await here.named(
            "FAIL", "wecom", "the name qyapi.invalid cannot be resolved", "WecomBrokerWecomAway"
        )
        assert "[wecom] resolve and restart" in remedy
    async with ground(folder, told, _fixed) as again:
        assert (await again.crm.token()).value
        again.worked()
