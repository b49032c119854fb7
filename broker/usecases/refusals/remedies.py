"""What clears a remembered error, and who must do it: told to operators beside the error."""

from collections.abc import Mapping
from typing import NamedTuple

from broker.domain import errors
from broker.domain.apps import AppKind
from broker.domain.errors import BrokerError
from broker.domain.suites.catalog import Owner
from broker.domain.suites.suite import Provider

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
    errors.AppNotShared: "share the app with the corp, then: wecom-broker shares sync {app}{parent}",
    errors.InvalidRequest: f"correct the configuration of {{app}}, {AGAIN}",
}
"""By the kind of error. Braces stand for the app, and for what WeCom said."""
OF_PROVIDERS: Mapping[type[BrokerError], str] = {
    # wecom-api D, 60020: suites and providers have one list.
    errors.IpNotTrusted: f"add {{ip}} to the provider's IP白名单 (active in about 1 min), {AGAIN}",
}
"""What differs for suites and providers."""
OF_PERMANENT_CODES: Mapping[type[BrokerError], str] = {
    # wecom-api B15: the secret of a 代开发 app in a corp.
    errors.SecretRejected: "if WeCom sends no new permanent code of {corp}: press 重新获取secret in the"
    " provider's console; it is tried at once",
}
"""What differs where a 代开发 app acts in a corp that authorised it."""


class Whose(NamedTuple):
    """What was refused, as far as the remedy depends on it."""

    app: str
    kind: AppKind | None = AppKind.SELF_BUILT
    """None for a provider."""
    corp_id: str = ""
    """The corp in which the app acts; empty if it is not known, and for a suite's own token."""
    parent_corp_id: str = ""
    """The corp that shares a suite with the one in which it acts."""

    @classmethod
    def of(cls, owner: Owner, corp_id: str = "", parent_corp_id: str = "") -> "Whose":
        """Return it for what is configured."""
        kind = None if isinstance(owner, Provider) else owner.kind
        return cls(owner.name, kind, corp_id, parent_corp_id)

    @property
    def is_suite(self) -> bool:
        """Return whether it is a suite."""
        return self.kind in {AppKind.THIRD_PARTY, AppKind.CUSTOMIZED}


def remedy_of(kind: type[BrokerError], whose: Whose, metadata: Mapping[str, str]) -> str:
    """Return what clears an error of that kind."""
    return sentence_of(kind, whose).format_map(known_of(whose, metadata))


def sentence_of(kind: type[BrokerError], whose: Whose) -> str:
    """Return the remedy with its braces; "" if none is known."""
    found = REMEDIES.get(kind, "")
    if whose.kind is AppKind.SELF_BUILT:
        return found
    if whose.kind is AppKind.CUSTOMIZED and whose.corp_id:
        found = OF_PERMANENT_CODES.get(kind, found)
    return OF_PROVIDERS.get(kind, found)


def known_of(whose: Whose, metadata: Mapping[str, str]) -> dict[str, str]:
    """Return what the braces of remedies stand for."""
    return {
        "app": whose.app or "APP",
        # A child is reached with the permanent code of the corp that shares the app.
        "corp": whose.parent_corp_id or whose.corp_id or "CORP",
        # The shares of a suite are listed for each corp that shares it.
        "parent": f" --parent {whose.parent_corp_id or 'CORP'}" if whose.is_suite else "",
        "ip": metadata.get("ip") or "the broker's address",
        "endpoint": metadata.get("endpoint") or "the interface",
    }
