"""Every configured name: apps, suites and providers share one namespace."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from broker.domain.apps import App
from broker.domain.errors import InvalidRequest, UnknownApp
from broker.domain.suites.suite import Provider, Suite


@dataclass(frozen=True, slots=True)
class Catalog:
    """What is configured, by name."""

    apps: Mapping[str, App]
    suites: Mapping[str, Suite] = field(default_factory=dict)
    providers: Mapping[str, Provider] = field(default_factory=dict)

    def owners(self) -> list[App | Suite | Provider]:
        """Return all of them."""
        return [*self.apps.values(), *self.suites.values(), *self.providers.values()]

    def owner(self, name: str) -> App | Suite | Provider:
        """Return what has that name. Raises `UnknownApp`."""
        found = self.apps.get(name) or self.suites.get(name) or self.providers.get(name)
        if found is None:
            raise UnknownApp("no app of that name is configured", app=name)
        return found

    def suite(self, name: str, field: str = "app") -> Suite:
        """Return the suite of that name. Raises `UnknownApp`, and `InvalidRequest` if it is no suite."""
        found = self.owner(name)
        if not isinstance(found, Suite):
            raise InvalidRequest(field, "is neither a third-party nor a 代开发 app", app=name)
        return found
