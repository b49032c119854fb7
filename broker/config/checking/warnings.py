"""Settings that are valid and probably not intended: `check-config` and `serve` warn of them."""

import stat
from collections.abc import Iterator
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509

from broker.config.apps import SelfBuiltTable
from broker.config.checking.rules import rule_warnings
from broker.config.listening.addresses import clear_text_addresses, is_loopback
from broker.config.listening.checks import tls_tables, unprovable_identities
from broker.config.schema import Config

ANYBODY_READS = stat.S_IROTH
ANYBODY_REPLACES = stat.S_IWOTH | stat.S_ISVTX
"""In a folder where everybody may write, and the sticky bit does not keep them from others' files."""
NO_TRACING = "tracing.enabled: OpenTelemetry is not installed here: pip install 'wecom-broker[otel]'"
EXPORTER = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.grpc")
"""What the extra `otel` installs."""


def warnings(config: Config, now: datetime) -> list[str]:
    """Return one line for each, the key first."""
    return [
        *clear_text_addresses(config),
        *_clear_text(config),
        *_certificates(config, now),
        *unprovable_identities(config),
        *_same_apps(config),
        *_open_files(config),
        *_tracing(config),
        *rule_warnings(config),
    ]


def _clear_text(config: Config) -> Iterator[str]:
    for key, what in (("api_base", "secrets and tokens"), ("oauth_base", "login links")):
        parts = urlsplit(getattr(config.wecom, key))
        if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
            yield f"wecom.{key}: http sends {what} in the clear; use https"


def _certificates(config: Config, now: datetime) -> Iterator[str]:
    files = [
        (f"{table}.{key}", path)
        for table, tls in tls_tables(config)
        for key, path in (("certificate", tls.certificate), ("client_ca", tls.client_ca))
        if path is not None
    ]
    for key, path in files:
        try:
            found = x509.load_pem_x509_certificates(Path(path).read_bytes())
        except (OSError, ValueError):
            continue
        for certificate in found:
            if certificate.not_valid_after_utc <= now:
                yield f"{key}: expired on {certificate.not_valid_after_utc:%Y-%m-%d}"
            elif certificate.not_valid_before_utc > now:
                yield f"{key}: is valid only from {certificate.not_valid_before_utc:%Y-%m-%d} on"


def _tracing(config: Config) -> Iterator[str]:
    """Yield what a broker would not start for, if it is installed as this program is."""
    if config.tracing.enabled and not all(map(_is_installed, EXPORTER)):
        yield NO_TRACING


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # of a package that it is in
        return False


def _same_apps(config: Config) -> Iterator[str]:
    first: dict[tuple[str, int], str] = {}
    for position, app in enumerate(config.apps):
        if not isinstance(app, SelfBuiltTable) or app.agent_id is None:
            continue
        other = first.setdefault((app.corp_id, app.agent_id), app.name)
        if other != app.name:
            yield (
                f"apps[{position}].agent_id: {app.name} is the same app of the same corp as {other};"
                " one name is enough"
            )


def _open_files(config: Config) -> Iterator[str]:
    """Yield the files of secrets that other users of this machine may read, or replace."""
    for table, tls in tls_tables(config):
        if _mode(path := tls.private_key) & ANYBODY_READS:
            yield f"{table}.private_key: {path} can be read by everybody on this machine: chmod 600 {path}"
    if config.store.is_embedded:
        path = str(config.store.path)
        if _mode(path) & ANYBODY_READS:
            yield f"store.url: {path} can be read by everybody on this machine: chmod 600 {path}"
        if _mode(folder := str(config.store.path.parent)) & ANYBODY_REPLACES == stat.S_IWOTH:
            yield f"store.url: everybody on this machine can replace {path}: chmod o-w {folder}"


def _mode(path: str) -> int:
    """Return the mode of the file; 0 if there is none."""
    try:
        return Path(path).stat().st_mode
    except OSError:
        return 0
