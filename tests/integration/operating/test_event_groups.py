"""An operator sees every group, what it is stuck at, and deletes one that nobody needs."""

from pathlib import Path

from wecom_broker.v1 import admin_service_pb2 as pb

from tests.integration.acting.acting import refusal_of
from tests.integration.events.subscribing import serving
from tests.kit.processes.fleet import until


async def test_each_group_shows_its_lag_what_it_is_stuck_at_and_its_members(tmp_path: Path) -> None:
    async with serving(tmp_path) as (running, service, wecom):
        admin = running.admin
        stream = await service.joins("work", max_in_flight=1)
        await wecom.says("a1 a2")
        await stream.hears("a1")

        [found] = (await admin.ListEventGroups(pb.ListEventGroupsRequest(app="crm"))).groups
        assert ("crm", "anyone/work", 2, 0, 1) == (
            found.app,
            found.group,
            found.open_count,
            found.dead_count,
            found.member_count,
        )
        assert stream.ids[0] == found.oldest_event_id
        assert found.oldest_time.ToNanoseconds()

        await service.acknowledges(stream.ids)
        await stream.hears("a1 a2")
        await service.acknowledges(stream.ids[1:])
        [found] = (await admin.ListEventGroups(pb.ListEventGroupsRequest())).groups
        assert (0, "") == (found.open_count, found.oldest_event_id)
        assert not found.HasField("oldest_time")


async def test_a_group_is_deleted_once_nobody_is_in_it(tmp_path: Path) -> None:
    async with serving(tmp_path) as (running, service, _):
        admin = running.admin
        stream = await service.joins("work")
        delete = pb.DeleteEventGroupRequest(app="crm", group="anyone/work")

        reason, metadata = await refusal_of(admin.DeleteEventGroup(delete))
        assert ("INVALID_REQUEST", "group") == (reason, metadata["field"])
        await stream.leaves()

        async def nobody_is_in_it() -> bool:
            [found] = (await admin.ListEventGroups(pb.ListEventGroupsRequest())).groups
            return not found.member_count

        await until(nobody_is_in_it)
        assert (await admin.DeleteEventGroup(delete)).deleted
        assert [] == list((await admin.ListEventGroups(pb.ListEventGroupsRequest())).groups)
        assert not (await admin.DeleteEventGroup(delete)).deleted


async def test_an_app_that_nobody_has_configured_has_no_groups(tmp_path: Path) -> None:
    async with serving(tmp_path) as (running, _, _):
        admin = running.admin
        groups = pb.ListEventGroupsRequest(app="nosuch")
        delete = pb.DeleteEventGroupRequest(app="nosuch", group="anyone/work")
        assert "UNKNOWN_APP" == (await refusal_of(admin.ListEventGroups(groups)))[0]
        assert "UNKNOWN_APP" == (await refusal_of(admin.DeleteEventGroup(delete)))[0]
