"""Settings that are valid and probably not intended: `check-config` and `serve` warn of them."""

from collections.abc import Iterator
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509

from broker.config.apps import SelfBuiltTable
from broker.config.checks import is_local, is_loopback
from broker.config.listening.checks import unprovable_identities
from broker.config.schema import Config
from broker.config.wording import did_you_mean
from broker.domain.access import Action


def warnings(config: Config, now: datetime) -> list[str]:
    """Return one line for each, the key first."""
    return [
        *_clear_text(config),
        *_certificates(config, now),
        *unprovable_identities(config),
        *_same_apps(config),
        *_rules(config),
    ]


def _clear_text(config: Config) -> Iterator[str]:
    if not is_local(config.server.http):
        yield f"server.http: {config.server.http} is off loopback, without TLS: let only a proxy reach it"
    for key, what in (("api_base", "secrets and tokens"), ("oauth_base", "login links")):
        parts = urlsplit(getattr(config.wecom, key))
        if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
            yield f"wecom.{key}: http sends {what} in the clear; use https"


def _certificates(config: Config, now: datetime) -> Iterator[str]:
    if not (tls := config.server.tls):
        return
    for key, path in (("certificate", tls.certificate), ("client_ca", tls.client_ca)):
        if path is None:
            continue
        try:
            found = x509.load_pem_x509_certificates(Path(path).read_bytes())
        except (OSError, ValueError):
            continue
        for certificate in found:
            if certificate.not_valid_after_utc <= now:
                yield f"server.tls.{key}: expired on {certificate.not_valid_after_utc:%Y-%m-%d}"
            elif certificate.not_valid_before_utc > now:
                yield f"server.tls.{key}: is valid only from {certificate.not_valid_before_utc:%Y-%m-%d} on"


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


def _rules(config: Config) -> Iterator[str]:
    names = {owner.name for owner in (*config.apps, *config.providers)}
    for position, caller in enumerate(config.callers):
        if not caller.allow:
            yield f"callers[{position}].allow: is missing or empty, so {caller.name} may do nothing"
        for number, rule in enumerate(caller.allow):
            key = f"callers[{position}].allow[{number}]"
            for pattern in rule.apps:
                if pattern != "*" and not any(fnmatchcase(name, pattern) for name in names):
                    yield f"{key}.apps: no app {pattern!r} is configured{did_you_mean(pattern, names)}"
            if Action.API_CALL in rule.actions and not rule.paths:
                yield f'{key}.paths: api.call is allowed for no path; name some, or all by ["*"]'
