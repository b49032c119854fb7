"""A pool that callers share fairly: nobody holds more of it than is free."""

from collections.abc import Callable
from datetime import timedelta

from broker.domain.errors import CallerLimited

SOON = timedelta(seconds=1)
PASSED_ON = ("CallApi", "UploadMedia", "DownloadMedia")
"""What occupies a slot of the calls that are passed on to WeCom."""
AT_WILL = (
    *("ExchangeAuthCode", "ExchangeLoginCode", "CompleteInstallation"),
    *("GetUserProfile", "ConvertSession", "BuildInstallUrl"),
)
"""What sends WeCom a code, ticket or key of the caller's choice, or has it make a new one."""


class FairPool:
    """Count who holds how many of the pool's places.

    A caller gets another place while it holds fewer than are free. Alone it gets half of the pool, and
    whoever comes next always finds room, however many the others want.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._free = size
        self._held: dict[str, int] = {}

    def enter(self, caller: str) -> Callable[[], None]:
        """Take a place; the returned function gives it back. Raises `CallerLimited`."""
        held = self._held.get(caller, 0)
        if held >= self._free:
            raise CallerLimited(
                "this caller has its share of such calls under way",
                SOON,
                caller=caller,
                limit="fair_share",
                at_once=held,
            )
        self._free -= 1
        self._held[caller] = held + 1
        return lambda: self._leave(caller)

    def _leave(self, caller: str) -> None:
        self._free += 1
        if self._held[caller] == 1:
            del self._held[caller]
        else:
            self._held[caller] -= 1


def fair_pools(passed_on: int, at_will: int) -> dict[str, FairPool]:
    """Return the pool of each rpc that has one, for as many calls to WeCom at once."""
    files, logins = FairPool(passed_on), FairPool(at_will)
    return {**dict.fromkeys(PASSED_ON, files), **dict.fromkeys(AT_WILL, logins)}
