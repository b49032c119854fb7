"""Whom a request is about: what an empty corp id means, and whose token needs an action of its own."""

from dataclasses import dataclass, field

from broker.domain.access import Action
from broker.domain.live import Live
from broker.domain.suites.catalog import Catalog

TOKENS = frozenset({Action.TOKEN_GET, Action.TOKEN_REPORT})


@dataclass(frozen=True, slots=True)
class Subjects:
    """What is configured, as far as rights depend on it."""

    own_corps: Live[str] = field(default_factory=lambda: Live({}))
    """By name, the corp that an empty corp id stands for. A suite has none: only `*` covers it."""
    own_tokens: Live[Action] = field(default_factory=lambda: Live({}))
    """By name, the action under which a suite's or a provider's own token is handed out."""

    @classmethod
    def of(cls, catalog: Catalog) -> "Subjects":
        """Return those of a configuration, and follow its changes."""
        subjects = cls(Live({}), Live({}))
        subjects._take(catalog)
        catalog.on_change(lambda _: subjects._take(catalog))
        return subjects

    def _take(self, catalog: Catalog) -> None:
        apps = {app.name: app.corp_id for app in catalog.apps.values()}
        providers = {provider.name: provider.corp_id for provider in catalog.providers.values()}
        suite_tokens = dict.fromkeys(catalog.suites, Action.SUITE_TOKEN)
        provider_tokens = dict.fromkeys(providers, Action.PROVIDER_TOKEN)
        self.own_corps.replace(apps | providers)
        self.own_tokens.replace(suite_tokens | provider_tokens)

    def knows(self, app: str) -> bool:
        """Return whether the name is configured."""
        return app in self.own_corps or app in self.own_tokens

    def corp(self, app: str, corp_id: str) -> str:
        """Return the corp that a rule must cover."""
        return corp_id or self.own_corps.get(app, "")

    def action(self, declared: Action, app: str, corp_id: str) -> Action:
        """Return the action that a rule must allow for a request of an rpc that declares one."""
        if declared in TOKENS and app in self.own_tokens and corp_id in ("", self.own_corps.get(app, "")):
            return self.own_tokens[app]
        return declared
