"""The fleet, as each of its replicas shows it."""

import pytest
from wecom_broker.v1 import admin_service_pb2 as pb

from broker.domain.replica.report import SILENT_AFTER
from tests.integration.conftest import StartFleet
from tests.kit.processes.fleet import until

pytestmark = pytest.mark.slow


async def test_each_replica_shows_all_and_whose_word_is_old(start_fleet: StartFleet) -> None:
    fleet = start_fleet(3, travelling=True)
    async with fleet.replicas() as (_, *others):

        async def heard_of() -> list[int]:
            answers = [await replica.admin.ListReplicas(pb.ListReplicasRequest()) for replica in others]
            return [sum(not found.silent for found in answer.replicas) for answer in answers]

        async def all_are_heard_of() -> bool:
            return await heard_of() == [3, 3]

        async def one_is_silent() -> bool:
            return await heard_of() == [2, 2]

        await until(all_are_heard_of, within=30)
        killed = fleet.brokers[0].process
        assert killed
        fleet.brokers[0].kill()
        fleet.advance(SILENT_AFTER.total_seconds())
        await until(one_is_silent, within=60)
        answer = await others[0].admin.ListReplicas(pb.ListReplicasRequest())

    [silent] = [found.name for found in answer.replicas if found.silent]
    assert silent.endswith(f"-{killed.pid}")
    [own] = [found for found in answer.replicas if found.current]
    assert not own.silent
