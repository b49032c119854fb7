"""The doctor names cause and remedy of each thing that is wrong, and says of the rest that it is well."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from wecom_broker.v1 import admin_service_pb2 as pb

from broker.server.diagnosis.apps import refusals
from broker.server.diagnosis.examination import examine, worst_first
from broker.server.diagnosis.finding import Facts, Finding, Level

NOW = datetime.now(UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
K2, K1 = (
    pb.SealKeyUse(id="k2", seals=True, configured=True),
    pb.SealKeyUse(id="k1", configured=True, count=12),
)


def status(**fields: Any) -> pb.GetStatusResponse:
    whole: dict[str, Any] = {
        "replica": "broker-1",
        "serving": True,
        "credential_count": 41,
        "dependencies": [
            pb.Dependency(name=name, healthy=True, since_time=NOW) for name in ("store", "wecom")
        ],
        "config": pb.ConfigStatus(load_time=NOW),
        "seal_keys": [K2, K1],
        "certificates": [certificate(90 * DAY)],
    }
    return pb.GetStatusResponse(**{**whole, **fields})


def replica(name: str, **fields: Any) -> pb.ReplicaInfo:
    whole: dict[str, Any] = {
        "version": "1.0",
        "report_time": NOW,
        "wecom_healthy": True,
        "seal_keys": [K2, K1],
    }
    return pb.ReplicaInfo(name=name, current=name == "broker-1", **{**whole, **fields})


def certificate(left: timedelta) -> pb.Certificate:
    return pb.Certificate(file="server.tls.certificate", end_time=NOW + left)


def facts(**fields: Any) -> Facts:
    whole: dict[str, Any] = {
        "now": NOW,
        "status": status(),
        "apps": [pb.App(name="crm")],
        "replicas": [replica("broker-1"), replica("broker-2")],
    }
    return Facts(**{**whole, **fields})


def away(name: str, error: str) -> pb.GetStatusResponse:
    other = {"store": "wecom", "wecom": "store"}[name]
    return status(
        dependencies=[
            pb.Dependency(name=name, healthy=False, since_time=NOW - MINUTE, last_error=error),
            pb.Dependency(name=other, healthy=True, since_time=NOW),
        ]
    )


def refusal(reason: str, **fields: Any) -> pb.Refusal:
    moments = {"since_time": NOW - MINUTE, "retry_time": NOW + MINUTE}
    return pb.Refusal(app="crm", reason=reason, remedy="then: wecom-broker retry crm", **moments, **fields)


@pytest.mark.parametrize("reason", ["SECRET_REJECTED", "APP_NOT_SHARED"])
def test_what_many_corps_of_a_suite_are_refused_for_is_one_line(reason: str) -> None:
    refused = [
        pb.Refusal(
            app="tailored",
            corp_id=f"wp{number}",
            parent_corp_id=f"wpParent{number}" if reason == "APP_NOT_SHARED" else "",
            reason=reason,
            remedy=f"something for wp{number}",
            since_time=NOW - MINUTE,
            retry_time=NOW + MINUTE,
        )
        for number in range(40)
    ]
    [told] = refusals(facts(refusals=refused, apps=[pb.App(name="tailored", kind="customized")]))

    assert "40 credentials" in told.problem


def suite(**fields: Any) -> pb.GetStatusResponse:
    whole: dict[str, Any] = {"ticket_time": NOW, "ticket_expire_time": NOW + 30 * MINUTE}
    return status(suites=[pb.SuiteStatus(app="market", **{**whole, **fields})])


def recent(kind: str, subject: str, detail: str, count: int) -> Facts:
    moments = {"first_time": NOW - MINUTE, "last_time": NOW}
    found = pb.RecentProblem(kind=kind, subject=subject, detail=detail, count=count, **moments)
    return facts(status=status(problems=[found]))


def group(**fields: Any) -> pb.EventGroup:
    return pb.EventGroup(app="crm", group="orders/work", **fields)


def quota(used: int, **fields: Any) -> pb.Quota:
    return pb.Quota(
        endpoint="jsapi_ticket", corp_id="ww1", agent_id=7, used_count=used, limit_count=100, **fields
    )


SICK: dict[str, tuple[Callable[[], Facts], Level, str, str]] = {
    "wrong secret": (
        lambda: facts(refusals=[refusal("SECRET_REJECTED", errcode=40001, call_count=300)]),
        Level.FAIL,
        "SECRET_REJECTED 40001",
        "wecom-broker retry crm",
    ),
    "untrusted address": (
        lambda: facts(refusals=[refusal("IP_NOT_TRUSTED", errcode=60020, ip="203.0.113.9")]),
        Level.FAIL,
        "WeCom sees 203.0.113.9",
        "wecom-broker retry crm",
    ),
    "refused for many corps": (
        lambda: facts(refusals=[refusal("APP_DISABLED", corp_id=f"ww{n}", call_count=2) for n in range(40)]),
        Level.FAIL,
        "40 credentials, met by 80 calls",
        "retry",
    ),
    "an outage that passes": (
        lambda: facts(refusals=[refusal("WECOM_UNAVAILABLE")]),
        Level.WARN,
        "WECOM_UNAVAILABLE",
        "retry",
    ),
    "store": (
        lambda: facts(status=away("store", "AuthenticationError")),
        Level.FAIL,
        "AuthenticationError, for 60 s; broker-1 holds 41 credential(s)",
        "do NOT restart",
    ),
    "wecom": (
        lambda: facts(status=away("wecom", "cannot resolve qyapi.weixin.qq.com")),
        Level.FAIL,
        "cannot resolve qyapi.weixin.qq.com",
        "DNS",
    ),
    "silent replica": (
        lambda: facts(
            replicas=[replica("broker-1"), replica("broker-3", silent=True, report_time=NOW - MINUTE)]
        ),
        Level.FAIL,
        "no word for 60 s",
        "supervisor",
    ),
    "replica whose clock was ahead": (
        lambda: facts(
            replicas=[replica("broker-1"), replica("broker-3", silent=True, report_time=NOW + 9 * MINUTE)]
        ),
        Level.FAIL,
        "its last report is dated in 9 min",
        "supervisor",
    ),
    "replica that cannot serve": (
        lambda: facts(replicas=[replica("broker-1", obstacle="nothing valid is left")]),
        Level.FAIL,
        "nothing valid is left",
        "",
    ),
    "two versions": (
        lambda: facts(replicas=[replica("broker-1"), replica("broker-2", version="1.1")]),
        Level.WARN,
        "1.0, 1.1 run side by side",
        "upgrade",
    ),
    "seal key missing": (
        lambda: facts(status=status(seal_keys=[K2, pb.SealKeyUse(id="k9", count=3)]), replicas=[]),
        Level.FAIL,
        "broker-1 lacks k9 (3 records met)",
        "store.seal_keys",
    ),
    "seal key of another replica missing": (
        lambda: facts(
            replicas=[
                replica("broker-1"),
                replica("broker-2", seal_keys=[pb.SealKeyUse(id="k1", seals=True, configured=True)]),
            ]
        ),
        Level.FAIL,
        "broker-2 lacks k2",
        "store.seal_keys",
    ),
    "unreadable replica": (
        lambda: facts(replicas=[replica("broker-1"), pb.ReplicaInfo(name="broker-2", unreadable=True)]),
        Level.FAIL,
        "a key that broker-1 does not have",
        "store.seal_keys",
    ),
    "clock": (
        lambda: facts(replicas=[replica("broker-2", clock_problem="this machine's is 600 s ahead")]),
        Level.WARN,
        "600 s ahead",
        "NTP",
    ),
    "refused reload": (
        lambda: facts(
            status=status(config=pb.ConfigStatus(load_time=NOW, problems=["apps[0].secret: is required"]))
        ),
        Level.FAIL,
        "apps[0].secret: is required",
        "check-config",
    ),
    "restart needed": (
        lambda: facts(status=status(config=pb.ConfigStatus(load_time=NOW, restart_needed=["server.http"]))),
        Level.WARN,
        "server.http",
        "restart",
    ),
    "certificate ended": (
        lambda: facts(status=status(certificates=[certificate(-2 * DAY)])),
        Level.FAIL,
        "server.tls.certificate ended 2 d ago",
        "SIGHUP",
    ),
    "certificate ends": (
        lambda: facts(replicas=[replica("broker-2", certificates=[certificate(13 * DAY)])]),
        Level.WARN,
        "server.tls.certificate ends in",
        "SIGHUP",
    ),
    "limit used up": (
        lambda: facts(quotas=[quota(100, callers=[pb.CallerUse(caller="orders", count=38)])]),
        Level.FAIL,
        "100 of 100 used; fetched because of reports and refreshes: orders 38",
        "that caller",
    ),
    "limit nearly used up": (lambda: facts(quotas=[quota(80)]), Level.WARN, "80 of 100", "less often"),
    "endpoint closed": (
        lambda: facts(quotas=[quota(3, closed_until_time=NOW + 10 * MINUTE)]),
        Level.FAIL,
        "closed by WeCom",
        "",
    ),
    "suite ticket late": (
        lambda: facts(status=suite(ticket_problem="none for 25 min")),
        Level.WARN,
        "none for 25 min",
        "刷新ticket",
    ),
    "suite ticket ended": (
        lambda: facts(status=suite(ticket_problem="it ended", ticket_expire_time=NOW - MINUTE)),
        Level.FAIL,
        "it ended",
        "刷新ticket",
    ),
    "authorisation lost": (
        lambda: facts(status=suite(lost_count=2)),
        Level.FAIL,
        "2 authorisation",
        "suites list market",
    ),
    "authorisation lost, and one installed since": (
        lambda: facts(status=suite(lost_count=1, lost_followed_count=1)),
        Level.WARN,
        "1 authorisation(s) LOST, and as many installed since",
        "wecom-broker retry market",
    ),
    "authorisation to be renewed": (
        lambda: facts(status=suite(reauthorization_required_count=1)),
        Level.WARN,
        "must authorise again",
        "suites list market",
    ),
    "permission ends": (
        lambda: facts(status=suite(next_permission_expire_time=NOW + 3 * DAY)),
        Level.WARN,
        "permission ends in",
        "renew",
    ),
    "dead events": (
        lambda: facts(groups=[group(dead_count=3)]),
        Level.WARN,
        "3 dead event(s)",
        "wecom-broker events dead orders/work crm",
    ),
    "caller without a rule": (
        lambda: recent("caller", "orders", "CALLER_NOT_ALLOWED token.get crm ww1", 17),
        Level.WARN,
        "token.get crm ww1, 17 times",
        "check-config --explain orders",
    ),
    "caller without a rule, once": (
        lambda: recent("caller", "orders", "CALLER_NOT_ALLOWED token.get crm ww1", 1),
        Level.WARN,
        "token.get crm ww1, once, ",
        "check-config --explain orders",
    ),
    "caller over its limit": (
        lambda: recent("caller", "orders", "CALLER_LIMITED token.get crm", 900),
        Level.WARN,
        "CALLER_LIMITED: token.get crm, 900 times",
        "raise limits of callers orders",
    ),
    "callbacks with another Token": (
        lambda: recent("callback", "crm", "signature", 9),
        Level.FAIL,
        "9 refused by signature",
        "接收消息",
    ),
    "callback of a stranger": (
        lambda: recent("callback", "crm", "signature", 1),
        Level.WARN,
        "1 refused by signature",
        "somebody else calls",
    ),
    "a slow WeCom": (
        lambda: facts(
            status=status(
                dependencies=[
                    pb.Dependency(
                        name="wecom", healthy=True, since_time=NOW, answer_duration=timedelta(seconds=3)
                    )
                ]
            )
        ),
        Level.WARN,
        "answers slowly: 3.0 s",
        "valid tokens are served",
    ),
    "group that lags": (
        lambda: facts(
            groups=[
                group(open_count=9, member_count=1, oldest_time=NOW - 41 * MINUTE, failed_attempt_count=7)
            ]
        ),
        Level.WARN,
        "9 event(s) open, the first for 41 min, tried 7 time(s)",
        "does not acknowledge",
    ),
    "group that nobody is in": (
        lambda: facts(groups=[group(open_count=9, oldest_time=NOW - 41 * MINUTE)]),
        Level.WARN,
        "nobody subscribes",
        "wecom-broker events delete-group orders/work crm",
    ),
}


def ill(found: list[Finding]) -> list[Finding]:
    return [finding for finding in found if finding.level is not Level.OK]


def test_a_fleet_that_is_well_has_no_findings_but_that() -> None:
    found = examine(facts(groups=[group(open_count=1, oldest_time=NOW - MINUTE)], quotas=[quota(79)]))

    assert [] == ill(found)
    assert {"store", "wecom", "crm", "seal keys", "clock", "config"} <= {finding.subject for finding in found}
    assert all(not finding.remedy for finding in found)


@pytest.mark.parametrize("name", SICK)
def test_each_illness_is_named_with_cause_and_remedy(name: str) -> None:
    sick, level, problem, remedy = SICK[name]

    [finding] = ill(examine(sick()))
    assert level is finding.level
    assert problem in finding.problem
    assert remedy in finding.remedy


def test_the_worst_comes_first() -> None:
    found = worst_first(examine(facts(quotas=[quota(80), quota(100)])))

    assert [Level.FAIL, Level.WARN, Level.OK] == list(dict.fromkeys(finding.level for finding in found))
