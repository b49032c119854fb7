"""Where access tokens come from: the app's secret, and for a child the parent's token (wecom-api A1, A3)."""

from collections.abc import Mapping

from broker.domain.corps import App, ShareKind
from broker.domain.credentials import Credential, CredentialKey, Grant
from broker.domain.ports import WecomApi
from broker.usecases.credential_engine import CredentialEngine
from broker.usecases.errand import current_errand


class TokenChain:
    """Fetch an app's own token with its secret, a child's with the token of the parent."""

    def __init__(self, wecom: WecomApi, apps: Mapping[str, App]) -> None:
        self._wecom = wecom
        self._apps = apps

    async def fetch(self, key: CredentialKey, engine: CredentialEngine) -> Grant:
        """Fetch the token from WeCom. Raises what WeCom's answer means."""
        app = self._apps[key.app]
        if key.share_kind is ShareKind.OWN:
            current_errand().step()
            return await self._wecom.fetch_app_token(app.corp_id, app.secret)

        async def with_parent(parent: Credential) -> Grant:
            return await self._wecom.fetch_child_token(parent, key.corp_id, key.agent_id, key.share_kind)

        return await engine.using(CredentialKey.own_token(app), with_parent)
