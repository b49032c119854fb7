"""`quotas`."""

import click
from wecom_broker.v1 import admin_service_pb2 as pb

from broker.cli.operating.desk import Desk, operating
from broker.cli.operating.plain import ago, span

HEADS = ("endpoint", "corp", "agent", "window", "used", "limit", "closed", "forced by")


@click.command()
@click.argument("app", default="")
@click.option("--all", "unused", is_flag=True, help="Show limits of which nothing is used, too.")
@operating
async def quotas(desk: Desk, app: str, unused: bool) -> None:
    """Show how much of WeCom's limits the fleet has used, and which are closed."""
    answer = await desk.ask(desk.admin.GetQuotas, pb.GetQuotasRequest(app=app))
    found = [
        quota
        for quota in answer.quotas
        if unused or desk.as_json or quota.used_count or quota.HasField("closed_until_time")
    ]
    desk.show(sorted(found, key=lambda quota: -quota.used_count / quota.limit_count), HEADS, _row)


def _row(quota: pb.Quota) -> tuple[object, ...]:
    return (
        quota.endpoint,
        quota.corp_id,
        quota.agent_id or "-",
        span(quota.window.ToTimedelta()),
        quota.used_count,
        quota.limit_count,
        f"opens {ago(quota.closed_until_time)}" if quota.HasField("closed_until_time") else "-",
        ", ".join(f"{use.caller} {use.count}" for use in quota.callers) or "-",
    )
