"""What the configured callers may do, as the configuration stands now."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from broker.domain.access import ANYONE, Action, Caller, Rule, matches
from broker.domain.errors import CallerNotAllowed


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a caller may do something, and which rule decides that."""

    allowed: bool
    rule: int | None
    """The position of the rule that allows it."""
    misses: tuple[tuple[str, ...], ...]
    """For each rule that does not allow it, the keys of the configuration that do not cover the request."""


class CallerPolicy:
    """Decide on every call, also on memory hits. No callers configured = everyone on this machine.

    The configuration may change while calls run: a caller is judged by the rules that its name has now.
    """

    def __init__(self, callers: Sequence[Caller] = ()) -> None:
        self._callers = {caller.name: caller for caller in callers}
        self._listeners: list[Callable[[], None]] = []

    @property
    def callers(self) -> list[Caller]:
        """Return the configured callers."""
        return list(self._callers.values())

    def names(self) -> list[str]:
        """Return under which names calls come."""
        return list(self._callers) or [ANYONE.name]

    @property
    def is_open(self) -> bool:
        """Return whether anyone may do anything."""
        return not self._callers

    def named(self, name: str) -> Caller | None:
        """Return the caller of that name, if it is still configured."""
        return self._callers.get(name)

    def forced_per_minute(self, name: str) -> int | None:
        """Return how many fetches the caller may force in a minute; None = as many as it likes."""
        caller = self._callers.get(name)
        return caller.limits.forced_per_minute if caller else None

    def replace(self, callers: Sequence[Caller]) -> None:
        """Take the callers of a new configuration, and tell everybody who listens."""
        self._callers = {caller.name: caller for caller in callers}
        for tell in self._listeners:
            tell()

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call the listener after each change."""
        self._listeners.append(listener)

    def may(self, caller: Caller, action: Action, app: str, corp_id: str, path: str = "") -> bool:
        """Return whether the caller may do this."""
        return self.is_open or any(rule.allows(action, app, corp_id, path) for rule in self._rules(caller))

    def may_somewhere(self, caller: Caller, action: Action, app: str = "") -> bool:
        """Return whether the caller may do this in some corp; without an app, for some app."""
        return self.is_open or any(rule.allows_somewhere(action, app) for rule in self._rules(caller))

    def corps(self, caller: Caller, action: Action, app: str) -> tuple[str, ...]:
        """Return the patterns of the corps in which the caller may do this, unless that depends on a path."""
        if self.is_open:
            return ("*",)
        rules = [rule for rule in self._rules(caller) if action in rule.actions and matches(rule.apps, app)]
        return tuple(dict.fromkeys(pattern for rule in rules for pattern in rule.corps))

    def check(self, caller: Caller, action: Action, app: str, corp_id: str, path: str = "") -> None:
        """Return if the caller may do this. Raises `CallerNotAllowed`."""
        if self.may(caller, action, app, corp_id, path):
            return
        raise CallerNotAllowed(
            "the caller may not do this",
            caller=caller.name,
            action=action,
            app=app,
            corp_id=corp_id,
            path=path,
        )

    def check_somewhere(self, caller: Caller, action: Action, app: str = "") -> None:
        """Return if the caller may do this in some corp, before that is known. Raises `CallerNotAllowed`."""
        if self.may_somewhere(caller, action, app):
            return
        raise CallerNotAllowed("the caller may not do this", caller=caller.name, action=action, app=app)

    def explain(self, caller: Caller, action: Action, app: str, corp_id: str, path: str = "") -> Decision:
        """Return the rule that decides, and why the others do not."""
        misses: list[tuple[str, ...]] = []
        for position, rule in enumerate(self._rules(caller)):
            if rule.allows(action, app, corp_id, path):
                return Decision(allowed=True, rule=position, misses=tuple(misses))
            misses.append(_missed(rule, action, app, corp_id, path))
        return Decision(allowed=self.is_open, rule=None, misses=tuple(misses))

    def _rules(self, caller: Caller) -> tuple[Rule, ...]:
        found = self._callers.get(caller.name)
        return found.rules if found else ()


def _missed(rule: Rule, action: Action, app: str, corp_id: str, path: str) -> tuple[str, ...]:
    covered = {
        "apps": matches(rule.apps, app),
        "corps": matches(rule.corps, corp_id),
        "actions": action in rule.actions,
        "paths": not path or matches(rule.paths, path),
    }
    return tuple(key for key, is_covered in covered.items() if not is_covered)
