"""What a running broker tells of the whole fleet, as findings."""

from datetime import UTC, datetime

from wecom_broker import BrokerError
from wecom_broker.errors import BrokerUnreachable
from wecom_broker.v1 import admin_service_pb2 as pb

from broker.cli.operating.desk import Desk
from broker.cli.remote.connection import UNREACHABLE
from broker.server.diagnosis.finding import Facts, Finding, Level

NO_ANSWER = {
    "UNAUTHENTICATED": "say who you are: --cert and --key, or --token",
    "CALLER_NOT_ALLOWED": 'give this caller the action "admin.read" for apps = ["*"] and corps = ["*"]',
}


async def facts_of(desk: Desk) -> Facts:
    """Return what the replica knows. Raises BrokerError.

    What it cannot tell while its store is unavailable is left out: the status says that.
    """
    status = await desk.ask(desk.admin.GetStatus, pb.GetStatusRequest())
    listed = await desk.ask(desk.admin.ListApps, pb.ListAppsRequest())
    seen = await desk.ask(desk.admin.ListReplicas, pb.ListReplicasRequest())
    refusals = desk.pages(desk.admin.ListRefusals, pb.ListRefusalsRequest(), "refusals")
    refused = [each async for each in refusals]
    try:
        quotas = (await desk.ask(desk.admin.GetQuotas, pb.GetQuotasRequest())).quotas
        known = (await desk.ask(desk.admin.ListEventGroups, pb.ListEventGroupsRequest())).groups
    except BrokerError as error:
        if error.reason != "STORE_UNAVAILABLE":
            raise
        quotas, known = (), ()
    return Facts(datetime.now(UTC), status, listed.apps, seen.replicas, refused, quotas, known)


def unanswered(error: BrokerError) -> Finding:
    """Return what to do where the broker told nothing."""
    hint = UNREACHABLE if isinstance(error, BrokerUnreachable) else ""
    remedy = NO_ANSWER.get(error.reason, hint)
    return Finding(Level.FAIL, "broker", f"{error.reason}: {error.message}", remedy)
