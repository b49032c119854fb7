"""What clears a remembered error, and who must do it: told to operators beside the error."""

from collections.abc import Mapping

from broker.domain import errors
from broker.domain.errors import BrokerError

AGAIN = "then: wecom-broker retry {app}"
ITSELF = "nothing: it is tried again by itself"

REMEDIES: Mapping[type[BrokerError], str] = {
    errors.SecretRejected: "correct the secret of {app} and reload: another secret is tried at once",
    errors.AppDisabled: f"enable the app in WeCom's console, {AGAIN}",
    errors.IpNotTrusted: f"add {{ip}} to the app's 企业可信IP (active in about 1 min), {AGAIN}",
    errors.ApiNotAuthorized: f"give the app the permission for {{endpoint}}, {AGAIN}",
    errors.ReauthorizationRequired: f"have the corp's administrator authorise the app again, {AGAIN}",
    errors.SuiteTicketMissing: "press 刷新ticket in the provider's console: the next suite_ticket clears it",
    errors.RateLimited: "nothing: WeCom's window has to pass",
    errors.WecomUnavailable: ITSELF,
    errors.WecomProtocol: f"{ITSELF}; if it stays, please open an issue",
    errors.AppNotShared: "share the app with the corp, then: wecom-broker shares sync {app}",
    errors.InvalidRequest: f"correct the configuration of {{app}}, {AGAIN}",
}
"""By the kind of error. Braces stand for the app, and for what WeCom said."""


def remedy_of(kind: type[BrokerError], app: str, metadata: Mapping[str, str]) -> str:
    """Return what clears an error of that kind."""
    return REMEDIES[kind].format_map(known_of(app, metadata))


def known_of(app: str, metadata: Mapping[str, str]) -> dict[str, str]:
    """Return what the braces of remedies stand for."""
    return {
        "app": app or "APP",
        "ip": metadata.get("ip") or "the broker's address",
        "endpoint": metadata.get("endpoint") or "the interface",
    }
