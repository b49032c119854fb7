"""An operator sees each refusal that is remembered, with who met it, and has it forgotten by one call."""

from pathlib import Path

import pytest
from wecom_broker.v1 import admin_service_pb2 as pb

from broker.simulator import demo_world
from broker.simulator.world.faults import Errcode
from tests.kit.broker_here import BrokerHere, broker_here
from tests.kit.processes.fleet import APP, Replica, connect, refused

CALLERS = 5


async def refusals(replica: Replica) -> list[pb.Refusal]:
    return list((await replica.admin.ListRefusals(pb.ListRefusalsRequest(app=APP))).refusals)


async def disabled(here: BrokerHere, replica: Replica) -> None:
    here.world.faults.add("gettoken", Errcode(50003, "app disabled"))
    for _ in range(CALLERS):
        assert "APP_DISABLED" == (await refused(replica.token())).reason


async def test_a_disabled_app_is_seen_with_what_to_do_and_served_after_a_retry(tmp_path: Path) -> None:
    async with broker_here(tmp_path, demo_world()) as here, connect(here.address) as (replica,):
        await disabled(here, replica)

        [found] = await refusals(replica)
        assert ("crm", "APP_DISABLED", 50003) == (found.app, found.reason, found.errcode)
        assert found.endpoint.endswith("gettoken")
        assert (1, CALLERS) == (found.caller_count, found.call_count)
        assert found.since_time.ToNanoseconds() < found.retry_time.ToNanoseconds()
        assert "wecom-broker retry crm" in found.remedy

        here.world.faults.clear()
        assert 1 == (await replica.admin.RetryRefused(pb.RetryRefusedRequest(app=APP))).cleared_count
        assert (await replica.token()).value
        assert [] == await refusals(replica)


async def test_the_metrics_name_the_cause_until_it_is_gone(tmp_path: Path) -> None:
    async with broker_here(tmp_path, demo_world()) as here, connect(here.address) as (replica,):
        here.world.faults.add(
            "gettoken", Errcode(60020, "not allow to access from your ip, from ip: 203.0.113.9")
        )
        assert "IP_NOT_TRUSTED" == (await refused(replica.token())).reason
        shown = b"".join(here.broker.telemetry.metrics.exposition()).decode()
        cause = f'app="{APP}",endpoint="/cgi-bin/gettoken",errcode="60020",ip="203.0.113.9"'

        assert f'wecom_broker_refusals{{{cause},reason="IP_NOT_TRUSTED"}} 1.0' in shown

        here.world.faults.clear()
        await replica.admin.RetryRefused(pb.RetryRefusedRequest(app=APP))
        assert "IP_NOT_TRUSTED" not in b"".join(here.broker.telemetry.metrics.exposition()).decode()


async def test_a_credential_that_never_was_fetched_is_listed_with_its_error(tmp_path: Path) -> None:
    async with broker_here(tmp_path, demo_world()) as here, connect(here.address) as (replica,):
        await disabled(here, replica)

        [found] = (await replica.admin.ListCredentials(pb.ListCredentialsRequest())).credentials
        assert pb.CREDENTIAL_STATE_MISSING == found.state
        assert "APP_DISABLED" in found.last_error
        assert found.last_error_time.ToNanoseconds()
        assert not found.HasField("expire_time")
        assert 0 == (await replica.admin.GetStatus(pb.GetStatusRequest())).credential_count


async def test_a_second_retry_within_a_minute_says_when_to_come_back(tmp_path: Path) -> None:
    async with broker_here(tmp_path, demo_world()) as here, connect(here.address) as (replica,):
        await disabled(here, replica)
        await replica.admin.RetryRefused(pb.RetryRefusedRequest(app=APP))
        assert "APP_DISABLED" == (await refused(replica.token())).reason
        asked = here.world.log.calls()

        again = await refused(replica.admin.RetryRefused(pb.RetryRefusedRequest(app=APP)))

        assert "CALLER_LIMITED" == again.reason
        assert again.retry_seconds
        assert asked == here.world.log.calls()


async def test_pages_of_refusals_are_complete(tmp_path: Path) -> None:
    async with (
        broker_here(tmp_path, demo_world(), ["crm", "hr", "fleet"]) as here,
        connect(here.address) as (crm,),
    ):
        here.world.faults.add(
            "gettoken", Errcode(60020, "not allow to access from your ip, from ip: 203.0.113.9")
        )
        for name in ("crm", "hr", "fleet"):
            await refused(crm.of(name).token())
        seen, token = [], ""
        while True:
            request = pb.ListRefusalsRequest(page_size=1, page_token=token)
            page = await crm.admin.ListRefusals(request)
            seen += [(each.app, each.ip) for each in page.refusals]
            if not (token := page.next_page_token):
                break

    assert [(name, "203.0.113.9") for name in ("crm", "fleet", "hr")] == seen


@pytest.mark.parametrize(("app", "reason"), [("", "INVALID_REQUEST"), ("nosuch", "UNKNOWN_APP")])
async def test_a_retry_names_an_app_that_is_configured(tmp_path: Path, app: str, reason: str) -> None:
    async with broker_here(tmp_path, demo_world()) as here, connect(here.address) as (replica,):
        found = await refused(replica.admin.RetryRefused(pb.RetryRefusedRequest(app=app)))

        assert reason == found.reason
