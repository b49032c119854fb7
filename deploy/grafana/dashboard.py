"""Write wecom-broker.json, a Grafana dashboard of a fleet of brokers: `python deploy/grafana/dashboard.py`.

The panels are the tables below; Grafana's own SDK makes the JSON of them, in the schema that Grafana imports
since version 10. What the SDK prefers is for Grafana 12 and later.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DatasourceVariable,
    QueryVariable,
    Row,
)
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import DataSourceRef, LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import VariableRefresh

WRITTEN = Path(__file__).parent / "wecom-broker.json"
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
WIDTH, HEIGHT = 8, 7


class Panel(NamedTuple):
    """One graph: what Prometheus is asked, by legend."""

    title: str
    queries: Mapping[str, str]
    unit: str = "short"
    about: str = ""


FLEET = 'job=~"$job",instance=~"$instance"'
APP = f'{FLEET},app=~"$app"'
PER_SECOND = "[$__rate_interval]"


def _rate(metric: str, by: str, where: str = FLEET) -> str:
    return f"sum by ({by}) (rate({metric}{{{where}}}{PER_SECOND}))"


def _most(metric: str, by: str, where: str = APP) -> str:
    """Return what replicas that measure the same thing show: not the sum of them."""
    return f"max by ({by}) ({metric}{{{where}}})"


def _until(moment: str) -> str:
    """Return how long until the moment; nothing where there is none."""
    return f"({moment} > 0) - time()"


def _quantile(of: float, metric: str, by: str = "", where: str = FLEET) -> str:
    return f"histogram_quantile({of}, {_rate(f'{metric}_bucket', f'le{by}', where)})"


ROWS: Mapping[str, Sequence[Panel]] = {
    "Replicas": (
        Panel("Ready", {"{{instance}}": f"wecom_broker_ready{{{FLEET}}}"}, "bool_yes_no"),
        Panel(
            "Store and WeCom answer",
            {"{{dependency}} {{instance}}": f"wecom_broker_dependency_up{{{FLEET}}}"},
            "bool_yes_no",
        ),
        Panel("Versions", {"{{version}}": f"count by (version) (wecom_broker_build_info{{{FLEET}}})"}),
        Panel("Calls", {"{{grpc_code}}": _rate("grpc_server_handled_total", "grpc_code")}, "reqps"),
        Panel(
            "GetAccessToken takes",
            {
                f"p{quantile * 100:g}": _quantile(
                    quantile, "wecom_broker_request_seconds", where=f'{FLEET},rpc="GetAccessToken"'
                )
                for quantile in (0.5, 0.99)
            },
            "s",
        ),
        Panel(
            "Clocks",
            {"{{clock}} {{instance}}": f"wecom_broker_clock_skew_seconds{{{FLEET}}}"},
            "s",
            "How far a clock is ahead of the time that the replica goes by.",
        ),
        Panel("Processor", {"{{instance}}": _rate("process_cpu_seconds_total", "instance")}, "percentunit"),
        Panel("Memory", {"{{instance}}": f"process_resident_memory_bytes{{{FLEET}}}"}, "bytes"),
        Panel(
            "Open watches and HTTP connections",
            {
                "watches {{instance}}": f"wecom_broker_watchers{{{FLEET}}}",
                "HTTP {{instance}}": f"wecom_broker_http_connections{{{FLEET}}}",
            },
        ),
        Panel(
            "Certificates end in",
            {"{{file}} {{instance}}": _until(f"wecom_broker_tls_not_after_seconds{{{FLEET}}}")},
            "s",
        ),
        Panel("Found in the store", {"{{damage}}": _rate("wecom_broker_store_damage_total", "damage")}),
        Panel(
            "Audit records lost",
            {
                "{{instance}}": _rate(
                    "wecom_broker_audit_records_total", "instance", f'{FLEET},outcome="lost"'
                )
            },
        ),
    ),
    "Apps": (
        Panel(
            "Refused by WeCom",
            {
                "{{app}} {{reason}} {{errcode}} {{ip}}": _most(
                    "wecom_broker_refusals", "app, reason, errcode, ip"
                )
            },
            about="What somebody must change; wecom-broker status says what and who.",
        ),
        Panel(
            "Calls to WeCom",
            {"{{endpoint}}": _rate("wecom_broker_upstream_calls_total", "endpoint")},
            "reqps",
        ),
        Panel(
            "Answers of WeCom but 0",
            {"{{errcode}}": _rate("wecom_broker_upstream_calls_total", "errcode", f'{FLEET},errcode!="0"')},
            "reqps",
        ),
        Panel(
            "WeCom takes (p99)",
            {"{{endpoint}}": _quantile(0.99, "wecom_broker_upstream_seconds", ", endpoint")},
            "s",
        ),
        Panel("Fetches", {"{{kind}} {{outcome}}": _rate("wecom_broker_refreshes_total", "kind, outcome")}),
        Panel(
            "Credentials in memory",
            {"{{kind}} {{state}}": _most("wecom_broker_credentials", "kind, state", FLEET)},
        ),
        Panel(
            "jsapi_ticket limit used",
            {"highest": f"max(wecom_broker_ticket_quota_used_ratio{{{FLEET}}})"},
            "percentunit",
        ),
        Panel(
            "Callbacks", {"{{app}} {{outcome}}": _rate("wecom_broker_callbacks_total", "app, outcome", APP)}
        ),
        Panel(
            "suite_ticket ends in",
            {"{{app}}": _until(_most("wecom_broker_suite_ticket_expiry_timestamp_seconds", "app"))},
            "s",
        ),
    ),
    "Corps": (
        Panel(
            "Children that apps are shared with",
            {"{{app}} {{share_kind}}": _most("wecom_broker_app_shares", "app, share_kind")},
        ),
        Panel(
            "Shares that ended without an event",
            {"{{app}}": _rate("wecom_broker_shares_ended_unannounced_total", "app")},
        ),
        Panel(
            "Authorisations",
            {"{{app}} {{state}}": _most("wecom_broker_authorizations", "app, state")},
        ),
        Panel(
            "Corps or credentials refused",
            {"{{app}} {{reason}}": _most("wecom_broker_refusals", "app, reason")},
        ),
        Panel(
            "auth_codes", {"{{app}} {{outcome}}": _rate("wecom_broker_exchanges_total", "app, outcome", APP)}
        ),
        Panel(
            "First data permission ends in",
            {"{{app}}": _until(_most("wecom_broker_permission_expiry_timestamp_seconds", "app"))},
            "s",
        ),
        Panel(
            "Callbacks are sealed for",
            {"{{app}} {{form}}": _rate("wecom_broker_callback_receivers_total", "app, form", APP)},
        ),
    ),
    "Callers": (
        Panel("Calls", {"{{caller}}": _rate("wecom_broker_caller_calls_total", "caller")}, "reqps"),
        Panel(
            "Calls refused",
            {"{{caller}} {{reason}}": _rate("wecom_broker_callers_refused_total", "caller, reason")},
            "reqps",
            "Without a caller: nobody knows who called.",
        ),
        Panel(
            "Fetches that callers forced",
            {"{{caller}}": _rate("wecom_broker_forced_fetches_total", "caller")},
            about="By reports of dead tokens, refreshes, or a large min_ttl.",
        ),
    ),
    "Groups of subscribers": (
        Panel(
            "Events that wait",
            {"{{group}} {{app}}": _most("wecom_broker_event_lag", "group, app")},
        ),
        Panel(
            "The oldest waits since",
            {"{{group}} {{app}}": _most("wecom_broker_event_lag_seconds", "group, app")},
            "s",
        ),
        Panel(
            "Events given up",
            {"{{group}} {{app}}": _most("wecom_broker_dead_events", "group, app")},
        ),
        Panel(
            "Events handed out",
            {"{{group}} again: {{again}}": _rate("wecom_broker_events_delivered_total", "group, again", APP)},
        ),
    ),
}


def built() -> str:
    """Return the dashboard as JSON."""
    dashboard = (
        Dashboard("wecom-broker")
        .uid("wecom-broker")
        .tags(["wecom-broker"])
        .refresh("30s")
        .time("now-6h", "now")
        .editable()
        .with_variable(DatasourceVariable("datasource").label("Data source").type("prometheus"))
    )
    for name, metric in (
        ("job", "wecom_broker_build_info"),
        ("instance", 'wecom_broker_build_info{job=~"$job"}'),
        ("app", '{__name__=~"wecom_broker_(callbacks_total|app_shares|refusals)",job=~"$job"}'),
    ):
        dashboard.with_variable(_chosen(name, f"label_values({metric}, {name})"))
    for title, panels in ROWS.items():
        dashboard.with_row(Row(title))
        for panel in panels:
            dashboard.with_panel(_graph(panel))
    return JSONEncoder(indent=2, sort_keys=True, ensure_ascii=False).encode(dashboard.build()) + "\n"


def _chosen(name: str, query: str) -> QueryVariable:
    return (
        QueryVariable(name)
        .datasource(SOURCE)
        .query(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(multi=True)
        .include_all(include_all=True)
        .all_value(".*")
    )


def _graph(panel: Panel) -> TimeSeries:
    legend = common_builders.VizLegendOptions().display_mode(LegendDisplayMode.LIST)
    graph = (
        TimeSeries()
        .title(panel.title)
        .description(panel.about)
        .unit(panel.unit)
        .datasource(SOURCE)
        .span(WIDTH)
        .height(HEIGHT)
        .legend(legend.placement(LegendPlacement.BOTTOM).show_legend(show_legend=True))
    )
    for ref_id, (legend_format, expression) in zip("ABCDEF", panel.queries.items(), strict=False):
        query = Dataquery().expr(expression).legend_format(legend_format).datasource(SOURCE)
        graph.with_target(query.ref_id(ref_id))
    return graph


if __name__ == "__main__":
    WRITTEN.write_text(built(), encoding="utf-8")
