"""Every configured name: apps, suites and providers share one namespace. A reload replaces what is in it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from broker.domain.apps import App
from broker.domain.errors import InvalidRequest, UnknownApp
from broker.domain.live import Live
from broker.domain.suites.suite import Provider, Suite

Owner = App | Suite | Provider
NOTHING: Mapping[str, Suite | Provider] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class CatalogChange:
    """The names that a new configuration treats in another way."""

    added: frozenset[str]
    removed: frozenset[str]
    exchanged: frozenset[str]
    """What they stand for at WeCom is another one: nothing of the old one may serve the new one."""
    with_other_secret: frozenset[str]
    """What was fetched is still valid; what WeCom refused may work now."""

    @property
    def ended(self) -> frozenset[str]:
        """Return those of which nothing may be kept."""
        return self.removed | self.exchanged


class Catalog:
    """What is configured, by name. Look names up when they are used: they may be gone the next moment."""

    def __init__(
        self,
        apps: Mapping[str, App],
        suites: Mapping[str, Suite] = NOTHING,  # type: ignore[assignment]
        providers: Mapping[str, Provider] = NOTHING,  # type: ignore[assignment]
    ) -> None:
        self.apps, self.suites, self.providers = Live(apps), Live(suites), Live(providers)
        self.version = 0
        """Grows with each replacement: earlier results may be out of date."""
        self._listeners: list[Callable[[CatalogChange], None]] = []

    def replace(self, new: "Catalog") -> None:
        """Take what another one has, and tell everybody who listens."""
        change = self._change_to(new)
        self.apps.replace(new.apps)
        self.suites.replace(new.suites)
        self.providers.replace(new.providers)
        self.version += 1
        for tell in self._listeners:
            tell(change)

    def on_change(self, listener: Callable[[CatalogChange], None]) -> None:
        """Call the listener after each replacement. It must not raise."""
        self._listeners.append(listener)

    def knows(self, name: str) -> bool:
        """Return whether anything has that name."""
        return name in self.apps or name in self.suites or name in self.providers

    def owners(self) -> list[Owner]:
        """Return all of them."""
        return [*self.apps.values(), *self.suites.values(), *self.providers.values()]

    def owner(self, name: str) -> Owner:
        """Return what has that name. Raises `UnknownApp`."""
        found = self.apps.get(name) or self.suites.get(name) or self.providers.get(name)
        if found is None:
            raise unknown(name)
        return found

    def identity(self, name: str) -> str:
        """Return what WeCom knows it by (`App.identity`); empty if nothing has that name."""
        return self.owner(name).identity if self.knows(name) else ""

    def app(self, name: str) -> App:
        """Return the self-built app of that name. Raises `UnknownApp`."""
        found = self.apps.get(name)
        if found is None:
            raise unknown(name)
        return found

    def suite(self, name: str, field: str = "app") -> Suite:
        """Return the suite of that name. Raises `UnknownApp`, and `InvalidRequest` if it is no suite."""
        found = self.owner(name)
        if not isinstance(found, Suite):
            raise InvalidRequest(field, "is neither a third-party nor a 代开发 app", app=name)
        return found

    def provider(self, name: str) -> Provider:
        """Return the provider of that name. Raises `UnknownApp`."""
        found = self.providers.get(name)
        if found is None:
            raise unknown(name)
        return found

    def _change_to(self, new: "Catalog") -> CatalogChange:
        before = {owner.name: owner for owner in self.owners()}
        after = {owner.name: owner for owner in new.owners()}
        kept = before.keys() & after.keys()
        exchanged = frozenset(name for name in kept if _identity(before[name]) != _identity(after[name]))
        return CatalogChange(
            added=frozenset(after.keys() - before.keys()),
            removed=frozenset(before.keys() - after.keys()),
            exchanged=exchanged,
            with_other_secret=frozenset(
                name for name in kept - exchanged if before[name].secret != after[name].secret
            ),
        )


def unknown(name: str) -> UnknownApp:
    """Return the error for a name that nothing has, or has any more."""
    return UnknownApp("no app of that name is configured", app=name)


def _identity(owner: Owner) -> tuple[object, ...]:
    """Return what WeCom knows it by."""
    if isinstance(owner, App):
        return owner.kind, owner.corp_id, owner.agent_id
    if isinstance(owner, Suite):
        return owner.kind, owner.suite_id, owner.provider.name, owner.provider.corp_id
    return (owner.corp_id,)
