"""What one page is about, made by hand."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from wecom_broker.v1 import admin_service_pb2 as pb

from broker.domain.access import Action, Caller, Rule
from broker.server.diagnosis.examination import examine, worst_first
from broker.server.diagnosis.finding import Facts, Level
from broker.server.diagnosis.words import Words
from broker.server.http.console.language import LANGUAGES
from broker.server.http.console.overview import Seen
from broker.server.http.console.page import Asked, Page
from broker.server.http.console.rows import Row
from broker.telemetry.recent_problems import ProblemKind, RecentProblem

NOW = datetime(2026, 11, 27, 8, 0, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PAGE = Page()
K1 = pb.SealKeyUse(id="k1", seals=True, configured=True)


def row(number: int = 0, **fields: Any) -> Row:
    whole: dict[str, Any] = {
        "app": "crm",
        "corp_id": f"ww{number:05d}",
        "share_kind": "corp_group",
        "kind": "access_token",
        "state": "fresh",
        "level": Level.OK,
        "ends": NOW + 90 * MINUTE,
        "error": "",
        "error_at": None,
        "kept_until": None,
    }
    return Row(**{**whole, **fields})


def replica(name: str, **fields: Any) -> pb.ReplicaInfo:
    whole: dict[str, Any] = {
        "version": "1.0",
        "report_time": NOW,
        "start_time": NOW - 60 * MINUTE,
        "serving": True,
        "wecom_healthy": True,
        "seal_keys": [K1],
    }
    return pb.ReplicaInfo(name=name, current=name == "broker-1", **{**whole, **fields})


def refusal(**fields: Any) -> pb.Refusal:
    whole: dict[str, Any] = {
        "app": "crm",
        "reason": "APP_DISABLED",
        "errcode": 50003,
        "since_time": NOW - MINUTE,
        "retry_time": NOW + 9 * MINUTE,
        "remedy": "enable the app in WeCom's console, then: wecom-broker retry crm",
    }
    return pb.Refusal(**{**whole, **fields})


def seen(
    *,
    language: str = "en",
    words: Words | None = None,
    rows: Sequence[Row] = (),
    callers: Sequence[Caller] = (),
    recent: Sequence[RecentProblem] = (),
    store_away: bool = False,
    app: str = "",
    **facts: Any,
) -> Seen:
    status = pb.GetStatusResponse(
        replica="broker-1",
        version="1.0",
        dependencies=[pb.Dependency(name=name, healthy=True, since_time=NOW) for name in ("store", "wecom")],
        seal_keys=[K1],
        config=pb.ConfigStatus(load_time=NOW),
    )
    whole: dict[str, Any] = {"status": status, "replicas": [replica("broker-1")]}
    all_facts = Facts(now=NOW, words=words or LANGUAGES[language], **{**whole, **facts})
    return Seen(
        app=app,
        facts=all_facts,
        findings=[finding for finding in worst_first(examine(all_facts)) if finding.level is not Level.OK],
        rows=sorted(rows, key=lambda each: each.order),
        refused_apps=frozenset(each.app for each in all_facts.refusals),
        callers=callers,
        recent=recent,
        store_away=store_away,
    )


def recent(kind: ProblemKind, subject: str = "crm", detail: str = "something") -> RecentProblem:
    return RecentProblem(kind, subject, detail, NOW - MINUTE, NOW, 3)


def caller(name: str = "orders", **fields: Any) -> Caller:
    rule = Rule(("crm",), ("*",), frozenset({Action.TOKEN_GET}))
    return Caller(name, **{"identity": "spiffe://example.org/orders", "rules": (rule,), **fields})


def html(what: Seen, asked: Asked | None = None, may_retry: Sequence[str] = ()) -> str:
    return PAGE.console(what, asked or Asked(), frozenset(may_retry))
