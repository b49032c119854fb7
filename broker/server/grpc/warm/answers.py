"""What a method has answered, to be found again by caller and by the very bytes of the request."""

from collections.abc import Callable
from typing import Any, Protocol

MOST_KEPT = 50_000
"""How many answers of a method are kept, of all callers together."""
LONGEST_REQUEST = 512
"""Bytes of a request; the answer to a longer one is not kept."""
OnForget = Callable[[], None]
"""Hears that everything was forgotten."""


class Kept(Protocol):
    """What is kept of an answer."""

    def again(self) -> bytes | None:
        """Return what the whole chain would answer now; None if only that can tell."""


class Repetition(Protocol):
    """How a method repeats its answers."""

    def keep(self, request: Any, response: Any) -> Kept | None:  # noqa: ANN401 - any method's
        """Return what answers such a request again; None if that is not possible.

        The whole chain has just given this response.
        """


class CallersAnswers:
    """The answers to one caller. The young ones become old, and what nobody asks for again is forgotten."""

    __slots__ = ("old", "young")

    def __init__(self) -> None:
        self.young: dict[bytes, Kept] = {}
        self.old: dict[bytes, Kept] = {}


class WarmAnswers:
    """Keep a method's answers, each for the caller that got it, until the rules change.

    What is kept is bounded, however many requests callers make up.
    """

    def __init__(self, repetition: Repetition, most: int = MOST_KEPT) -> None:
        self._repetition = repetition
        self._most = most
        self._callers: dict[str, CallersAnswers] = {}
        self._young = 0
        self.epoch = 0
        """Grows when the rules change: what was allowed before must not be kept afterwards."""
        self.on_forget: list[OnForget] = []

    @property
    def count(self) -> int:
        """Return how many answers are kept."""
        return sum(len(each.young) + len(each.old) for each in self._callers.values())

    def of(self, caller: str) -> CallersAnswers:
        """Return what is kept for a configured caller."""
        found = self._callers.get(caller)
        if found is None:
            found = self._callers[caller] = CallersAnswers()
        return found

    def find(self, own: CallersAnswers, raw: bytes) -> Kept | None:
        """Return what is kept of the answer to this request, and keep it as a young one."""
        kept = own.young.get(raw)
        if kept is None and (kept := own.old.pop(raw, None)):
            self._put(own, raw, kept)
        return kept

    def keep(self, epoch: int, caller: str, raw: bytes, request: Any, response: Any) -> None:  # noqa: ANN401 - any method's
        """Keep an answer of the whole chain, whose caller was let in at that epoch."""
        if epoch == self.epoch and len(raw) <= LONGEST_REQUEST:
            kept = self._repetition.keep(request, response)
            if kept is not None:
                self._put(self.of(caller), raw, kept)

    def forget_all(self) -> None:
        """Forget everything: the rules have changed."""
        self.epoch += 1
        self._young = 0
        for own in self._callers.values():
            # Who holds one of them must find nothing in it, either.
            own.young, own.old = {}, {}
        self._callers.clear()
        for call in self.on_forget:
            call()

    def _put(self, own: CallersAnswers, raw: bytes, kept: Kept) -> None:
        if self._young >= self._most // 2:
            self._young = 0
            for each in self._callers.values():
                each.young, each.old = {}, each.young
        self._young += raw not in own.young
        own.young[raw] = kept
