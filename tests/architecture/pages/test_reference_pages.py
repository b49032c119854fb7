"""The tables of the reference pages name all keys, actions, reasons, methods, metrics and alerts."""

import re
from typing import get_args

from pydantic import BaseModel

from broker.config.schema import Config
from broker.domain.access import Action
from broker.server.grpc.errors import STATUSES
from broker.telemetry.metrics import Metrics
from tests.architecture.pages.documents import INLINE, first_words, rows, section, titles
from tests.architecture.sources import ROOT
from tests.kit.actions import ACTIONS

DOCS = ROOT / "docs"
CALLING, CONFIGURATION, OPERATIONS = (
    DOCS / f"{name}.md" for name in ("calling", "configuration", "operations")
)


def tables_of(annotation: object) -> list[type[BaseModel]]:
    """Return the tables that a key holds, or a list of which it holds: an app's differs by its kind."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [table for part in get_args(annotation) for table in tables_of(part)]


def keys() -> set[str]:
    tables = {name: tables_of(field.annotation) for name, field in Config.model_fields.items()}
    assert all(tables.values())
    return {
        f"{name}.{key}" for name, found in tables.items() for table in found for key in table.model_fields
    }


def test_every_key_of_the_configuration_has_a_row() -> None:
    assert sorted(keys()) == sorted(first_words(section(CONFIGURATION, "Keys")))


def test_the_keys_of_inner_tables_are_named_in_the_row_of_their_table() -> None:
    text = {cells[0].strip("`"): cells[-1] for cells in rows(section(CONFIGURATION, "Keys"))}
    inner = [
        (f"{outer}.{name}", below)
        for outer, field in Config.model_fields.items()
        for table in tables_of(field.annotation)
        for name, held in table.model_fields.items()
        for below in tables_of(held.annotation)
    ]
    assert inner
    for key, below in inner:
        assert set(below.model_fields) <= set(INLINE.findall(text[key])), key


def test_every_action_has_a_row_with_its_methods() -> None:
    table = {cells[0].strip("`"): cells[1] for cells in rows(section(CONFIGURATION, "Callers and rules"))}
    del table["action"]

    assert set(Action) == set(table)
    for rpc, action in ACTIONS.items():
        _, service, method = rpc.rsplit("/", 2)
        named = set(INLINE.findall(table[action]))
        assert method in named or f"all of `{service.rpartition('.')[2]}`" in table[action], rpc


def test_every_reason_has_a_row_with_its_status() -> None:
    told = {
        reason.strip("`"): status
        for _, reason, status, _ in rows(section(CALLING, "Errors"))
        if reason != "reason"
    }

    assert {kind.reason: status.name for kind, status in STATUSES.items()} == told


def test_every_service_has_a_row_with_its_methods() -> None:
    methods: dict[str, set[str]] = {}
    for rpc in ACTIONS:
        _, service, method = rpc.rsplit("/", 2)
        methods.setdefault(service.rpartition(".")[2], set()).add(method)

    told = {
        service.strip("`"): set(INLINE.findall(named))
        for service, named, _ in rows(section(CALLING, "Services"))
        if service != "service"
    }
    assert methods == told


def test_the_catalogue_of_metrics_has_each_with_its_type_and_labels() -> None:
    there_are = {
        metric._name: (metric._type, list(metric._labelnames))
        for metric in vars(Metrics()).values()
        if hasattr(metric, "_labelnames")
    }
    for family in Metrics().requests.collect():
        there_are[family.name] = (family.type, list(family._labelnames))  # type: ignore[attr-defined]
    told = {
        name.strip("`").removesuffix("_total"): (kind, INLINE.findall(labels))
        for name, kind, labels, _ in rows(section(OPERATIONS, "Metrics"))
        if name != "metric"
    }

    assert there_are == told


def test_every_alert_has_a_section() -> None:
    alerts = re.findall(
        r"- alert: (\w+)$", (ROOT / "deploy" / "prometheus-alerts.yaml").read_text(), re.MULTILINE
    )

    assert alerts == [title for title in titles(OPERATIONS, 3) if title.startswith("WecomBroker")]
