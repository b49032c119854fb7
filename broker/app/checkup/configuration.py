"""What a configuration itself says: settings that are probably not intended, and mistakes."""

from collections.abc import Iterator
from datetime import datetime

from broker.config.checking.warnings import warnings
from broker.config.listening.checks import tls_tables
from broker.config.schema import Config
from broker.server.diagnosis.finding import Finding, Level


def doubtful(config: Config, now: datetime) -> Iterator[Finding]:
    """Yield what `check-config` warns of; certificates are looked at apart."""
    certificates = tuple(f"{table}.certificate:" for table, _ in tls_tables(config))
    found = [warning for warning in warnings(config, now) if not warning.startswith(certificates)]
    for warning in found:
        key, _, problem = warning.partition(": ")
        yield Finding(Level.WARN, key, problem, "change it, if it is not what you want")
    if not found:
        yield Finding(Level.OK, "config", f"no mistake, {len(config.apps)} app(s)")


def mistakes(problems: list[str]) -> Iterator[Finding]:
    """Yield what keeps the configuration from being used."""
    for each in problems:
        key, _, problem = each.partition(": ")
        yield Finding(Level.FAIL, key, problem, "correct it in the file: no broker starts with it")
