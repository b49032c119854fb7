"""Apps that a parent corp shares with its children: 企业互联 and 上下游 应用共享."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from itertools import count

from broker.simulator.world.corps import AppId


class BusinessType(IntEnum):
    """Number the two kinds of sharing as WeCom does."""

    CORP_GROUP = 0
    SUPPLY_CHAIN = 1


@dataclass(frozen=True, slots=True)
class Owner:
    """Name the owner of a token: an app, and for a child's token the share it was derived through."""

    app: AppId
    parent: AppId | None = None
    business_type: BusinessType | None = None


@dataclass(slots=True)
class Share:
    """Hold one share; it is not listed until the child has confirmed it (敏感权限待确认)."""

    parent: AppId
    child: AppId
    business_type: BusinessType
    serial: int
    confirmed: bool = True


class Shares:
    """Hold the shares, and the partners: a corp stays in the chain when an app is unshared."""

    def __init__(self) -> None:
        self._shares: dict[tuple[AppId, AppId, BusinessType], Share] = {}
        self._of_parent: dict[tuple[AppId, BusinessType], dict[int, Share]] = {}
        self._partners: set[tuple[str, str]] = set()
        self._serials = count(1)

    def __iter__(self) -> Iterator[Share]:
        return iter(self._shares.values())

    def add(
        self, parent: AppId, child: AppId, business_type: BusinessType, *, confirmed: bool = True
    ) -> Share:
        """Share an app; a repeat only changes whether it is confirmed."""
        if known := self._shares.get((parent, child, business_type)):
            known.confirmed = confirmed
            return known
        share = Share(parent, child, business_type, next(self._serials), confirmed)
        self._shares[parent, child, business_type] = share
        self._of_parent.setdefault((parent, business_type), {})[share.serial] = share
        self._partners.add((parent.corpid, child.corpid))
        return share

    def remove(self, parent: AppId, child: AppId, business_type: BusinessType) -> bool:
        """End a share; return whether there was one."""
        share = self._shares.pop((parent, child, business_type), None)
        if share is not None:
            del self._of_parent[parent, business_type][share.serial]
        return share is not None

    def find(self, parent: AppId, child: AppId, business_type: BusinessType) -> Share | None:
        """Find the share that a child token may be asked for."""
        share = self._shares.get((parent, child, business_type))
        return share if share and share.confirmed else None

    def listed(self, parent: AppId, business_type: BusinessType) -> list[Share]:
        """List the confirmed shares of a parent's app, oldest first."""
        return [
            share for share in self._of_parent.get((parent, business_type), {}).values() if share.confirmed
        ]

    def listed_after(self, parent: AppId, business_type: BusinessType, serial: int) -> Iterator[Share]:
        """Yield the confirmed shares of a parent's app that were added after the one with that serial."""
        shares = self._of_parent.get((parent, business_type), {})
        serials = list(shares)
        for later in serials[bisect_right(serials, serial) :]:
            if shares[later].confirmed:
                yield shares[later]

    def owner_of(self, corpid: str, app: AppId, business_type: BusinessType | None = None) -> Owner:
        """Return the owner under which a corp has the app: its own app, or the child's app and its share."""
        if corpid == app.corpid:
            return Owner(app)
        kinds = [business_type] if business_type is not None else list(BusinessType)
        for kind in kinds:
            for share in self.listed(app, kind):
                if share.child.corpid == corpid:
                    return Owner(share.child, app, kind)
        # The share has ended, or is not confirmed yet: people who have the link can follow it anyway.
        return Owner(AppId(corpid, 0), app, kinds[0])

    def partners(self, parent_corpid: str, corpid: str) -> bool:
        """Return whether a corp is, or was, in the parent's chain."""
        return (parent_corpid, corpid) in self._partners
