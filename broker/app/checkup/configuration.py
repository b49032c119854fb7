"""What a configuration itself says: settings that are probably not intended, and its certificates."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from cryptography import x509

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


def certificate_ends(config: Config) -> Mapping[str, datetime]:
    """Return when the first certificate in each file of the listeners' TLS ends, by key."""
    ends = {}
    for table, tls in tls_tables(config):
        for key, path in (("certificate", tls.certificate), ("client_ca", tls.client_ca)):
            if path is not None:
                found = x509.load_pem_x509_certificates(Path(path).read_bytes())
                ends[f"{table}.{key}"] = min(one.not_valid_after_utc for one in found)
    return ends
