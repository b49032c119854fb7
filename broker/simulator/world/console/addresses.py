"""The callback URLs of suites and providers, as configured in the provider's console."""

from enum import StrEnum

from broker.simulator.world.events.callback import Callback
from broker.simulator.world.events.kinds import COMMANDS, EventKind
from broker.simulator.world.suites.suite import Suite


class Channel(StrEnum):
    """Name the URLs of a suite."""

    COMMAND = "command"
    """指令回调: suite_ticket, authorisations and the like; of a 代开发 template its only one."""
    DATA = "data"
    """数据回调: messages and events of a third-party app, for all corps."""
    APP = "app"
    """A 代开发 app's own URL, with Token and key of its own in each corp (wecom-api B15)."""


class Addresses:
    """Hold the callbacks; `$CORPID$` in the URL of data or an app becomes the corp's id."""

    def __init__(self) -> None:
        self._of_suites: dict[tuple[str, Channel, str], Callback] = {}
        self._of_providers: dict[str, Callback] = {}

    def set(self, suite: Suite, channel: Channel, callback: Callback, corpid: str = "") -> None:
        """Use this callback from now on; with `corpid`, the plain one, for that corp only.

        Raises ValueError for a channel that a suite of its kind does not have.
        """
        if channel is (Channel.DATA if suite.customized else Channel.APP):
            raise ValueError(f"{suite.name or suite.suite_id} has no {channel} URL")
        if corpid and channel is not Channel.APP:
            raise ValueError("only a 代开发 app has a URL in each corp")
        self._of_suites[suite.suite_id, channel, corpid] = callback

    def set_system(self, provider_id: str, callback: Callback) -> None:
        """Use this callback for the provider's system events from now on."""
        self._of_providers[provider_id] = callback

    def system(self, provider_id: str) -> Callback | None:
        """Find the callback of a provider."""
        return self._of_providers.get(provider_id)

    def find(self, suite: Suite, channel: Channel, corpid: str, shown_corpid: str) -> Callback | None:
        """Find a callback for a corp, given by its plain id and by the one that the provider knows."""
        of_corp = self._of_suites.get((suite.suite_id, channel, corpid))
        callback = of_corp or self._of_suites.get((suite.suite_id, channel, ""))
        return callback and callback.at(shown_corpid)


def channel_of(suite: Suite, kind: EventKind) -> Channel:
    """Return the URL of the suite to which events of a kind go."""
    if kind in COMMANDS:
        return Channel.COMMAND
    return Channel.APP if suite.customized else Channel.DATA
