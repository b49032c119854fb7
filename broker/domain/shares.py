"""The children that an app is shared with, as WeCom last listed them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import NamedTuple, Self

from broker.domain.apps import App
from broker.domain.corps import ShareKind

AHEAD = timedelta(seconds=1)
"""How far the clocks of a fleet may be apart."""


class ListingKey(NamedTuple):
    """What a listing is of: an app, a kind of share, and the corp that shares the app."""

    app: str
    share_kind: ShareKind
    parent_corp_id: str = ""
    """Empty for a self-built app: only its own corp shares it."""

    @classmethod
    def of(cls, app: App, share_kind: ShareKind) -> "ListingKey":
        """Return the key of the shares of an app in the corp that shares it."""
        return cls(app.name, share_kind, app.parent_corp_id)

    @classmethod
    def read(cls, name: str) -> "ListingKey | None":
        """Return the key of that name; None if no listing has such a name."""
        word, _, rest = name.partition(":")
        app, _, rest = rest.partition(":")
        kind, _, parent = rest.partition(":")
        return cls(app, ShareKind(kind), parent) if word == "shares" and kind in set(ShareKind) else None

    @property
    def name(self) -> str:
        """Return the listing's name in stores, leases and notices."""
        parent = f":{self.parent_corp_id}" if self.parent_corp_id else ""
        return f"shares:{self.app}:{self.share_kind}{parent}"


@dataclass(frozen=True, slots=True, order=True)
class AppShare:
    """One share of an app with a child corp; `agent_id` is the child's (wecom-api G1)."""

    share_kind: ShareKind
    corp_id: str
    agent_id: int
    corp_name: str = ""
    since: int = field(default=0, compare=False)
    """The fence of the first listing that had it after one without it; 0 if none is known."""

    @property
    def identity(self) -> tuple[ShareKind, str, int]:
        """Return what identifies the share: the corp's name may change."""
        return (self.share_kind, self.corp_id, self.agent_id)

    def known_since(self, fence: int) -> "AppShare":
        """Return the share with that listing as the first one that had it."""
        # Most shares stay as they are, and copying 10,000 of them is slow.
        return self if fence == self.since else replace(self, since=fence)


@dataclass(frozen=True, slots=True)
class ListedShares:
    """The shares that WeCom listed, and how many entries could not be read."""

    shares: tuple[AppShare, ...] = ()
    unreadable: int = 0

    @classmethod
    def of_pages(cls, pages: Sequence["ListedShares"]) -> "ListedShares":
        """Return the shares of all pages, each once."""
        shares = {share.identity: share for page in pages for share in page.shares}
        return cls(tuple(shares.values()), sum(page.unreadable for page in pages))

    def completed(self, before: Iterable[AppShare]) -> tuple[AppShare, ...]:
        """Return the shares, with those from before that may be among the unreadable ones.

        An incomplete listing proves who has the app, not who has lost it.
        """
        if not self.unreadable:
            return self.shares
        listed = {share.corp_id for share in self.shares}
        return (*self.shares, *(share for share in before if share.corp_id not in listed))


@dataclass(frozen=True)
class ShareList:
    """One complete listing of one kind of share of an app in one corp."""

    app: str
    share_kind: ShareKind
    fence: int
    listed_at: datetime
    shares: tuple[AppShare, ...]
    parent_corp_id: str = ""
    """As in its key."""
    identity: str = ""
    """The app's (`App.identity`)."""

    def begun_since(self, moment: datetime, now: datetime) -> bool:
        """Return whether it was begun at the moment or later; False for one from the future."""
        return moment <= self.listed_at and not self.is_from_the_future(max(moment, now))

    def is_from_the_future(self, now: datetime) -> bool:
        """Return whether its date is still to come: the clock that dated it was ahead, and was corrected."""
        return self.listed_at > now + AHEAD

    @property
    def key(self) -> ListingKey:
        """Return what it lists."""
        return ListingKey(self.app, self.share_kind, self.parent_corp_id)

    @cached_property
    def ordered(self) -> list[AppShare]:
        """Return the shares in order; they are sorted once, however many pages are read."""
        return sorted(self.shares)

    @cached_property
    def by_corp(self) -> dict[str, list[AppShare]]:
        """Return the shares of each child, by its exact id: encrypted ids have case (wecom-api 1, G19)."""
        found: defaultdict[str, list[AppShare]] = defaultdict(list)
        for share in self.shares:
            found[share.corp_id].append(share)
        return dict(found)

    def indexed(self) -> Self:
        """Return it, with the look-up by child made now and not for the first call that needs it."""
        _ = self.by_corp  # computed once, then kept
        return self

    def reconciled(self, other: "ShareList") -> "ShareList":
        """Return the newer one."""
        return max(self, other, key=lambda listing: listing.fence)

    def is_worth_sharing(self, now: datetime) -> bool:  # noqa: ARG002 - other values expire
        """Return whether a store that lost it should get it back: an old list is better than none."""
        return True

    def find(self, corp_id: str, agent_id: int) -> AppShare | None:
        """Return the share of that identity, if it is there."""
        return next((share for share in self.by_corp.get(corp_id, ()) if share.agent_id == agent_id), None)

    def following(self, before: "ShareList | None") -> "ShareList":
        """Return this listing; shares that the one before has too keep their `since`."""
        if before is None:
            return self
        known = {share.identity: share.since for share in before.shares}
        shares = (share.known_since(known.get(share.identity, self.fence)) for share in self.shares)
        return replace(self, shares=tuple(shares))


@dataclass(frozen=True, slots=True)
class ShareChanges:
    """The differences between two listings."""

    added: tuple[AppShare, ...] = ()
    removed: tuple[AppShare, ...] = ()
    unchanged_count: int = 0

    @classmethod
    def between(cls, before: Iterable[AppShare], after: Iterable[AppShare]) -> "ShareChanges":
        """Compare two listings; a child that was only renamed is unchanged."""
        old = {share.identity: share for share in before}
        new = {share.identity: share for share in after}
        return cls(
            tuple(share for identity, share in new.items() if identity not in old),
            tuple(share for identity, share in old.items() if identity not in new),
            sum(identity in old for identity in new),
        )

    def __bool__(self) -> bool:
        return bool(self.added or self.removed)

    def __add__(self, other: "ShareChanges") -> "ShareChanges":
        return ShareChanges(
            self.added + other.added,
            self.removed + other.removed,
            self.unchanged_count + other.unchanged_count,
        )
