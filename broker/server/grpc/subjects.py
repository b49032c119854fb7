"""Whom a request is about: what an empty corp id means, and whose token needs an action of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from broker.domain.access import Action
from broker.domain.suites.catalog import Catalog

TOKENS = frozenset({Action.TOKEN_GET, Action.TOKEN_REPORT})


@dataclass(frozen=True, slots=True)
class Subjects:
    """What is configured, as far as rights depend on it."""

    own_corps: Mapping[str, str] = field(default_factory=dict)
    """By name, the corp that an empty corp id stands for. A suite has none: only `*` covers it."""
    own_tokens: Mapping[str, Action] = field(default_factory=dict)
    """By name, the action under which a suite's or a provider's own token is handed out."""

    @classmethod
    def of(cls, catalog: Catalog) -> "Subjects":
        """Return those of a configuration."""
        apps = {app.name: app.corp_id for app in catalog.apps.values()}
        providers = {provider.name: provider.corp_id for provider in catalog.providers.values()}
        suite_tokens = dict.fromkeys(catalog.suites, Action.SUITE_TOKEN)
        return cls(apps | providers, suite_tokens | dict.fromkeys(providers, Action.PROVIDER_TOKEN))

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
