"""Credentials: what they are for, how long they live, and when they must be renewed."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum, IntEnum, StrEnum, auto

from broker.domain.apps import NO_AGENT, App
from broker.domain.corps import ShareKind
from broker.domain.errors import InvalidRequest
from broker.domain.secret import Secret
from broker.domain.shares import AppShare, ListingKey
from broker.domain.suites.suite import Provider, Suite

NO_TIME = timedelta(0)
MINUTE = timedelta(minutes=1)
MOMENT = timedelta(seconds=1)
"""How long WeCom takes to answer, generously estimated."""


class CredentialKind(StrEnum):
    """What a credential is."""

    ACCESS_TOKEN = "access_token"  # noqa: S105 - a kind, not a token
    CORP_TICKET = "corp_ticket"
    """The corp's jsapi_ticket, for wx.config (wecom-api A4)."""
    AGENT_TICKET = "agent_ticket"
    """The app's jsapi_ticket, for wx.agentConfig (wecom-api A5)."""
    SUITE_TOKEN = "suite_token"  # noqa: S105 - a kind, not a token
    """A suite's suite_access_token (wecom-api B2)."""
    PROVIDER_TOKEN = "provider_token"  # noqa: S105 - a kind, not a token
    """A provider's provider_access_token (wecom-api B12)."""


NO_CORP = "is required: suites and providers have a token, but nothing that belongs to a corp"

CORP_KINDS = (CredentialKind.ACCESS_TOKEN, CredentialKind.CORP_TICKET, CredentialKind.AGENT_TICKET)
"""The credentials of an app in a corp."""


class Need(Enum):
    """Why a credential is fetched."""

    FIRST = auto()
    """Nothing valid is held: whoever asks gets nothing without it."""
    RENEWAL = auto()
    """What is held ages."""
    REPLACEMENT = auto()
    """What is held is said not to work, or a caller or an operator wants another one."""


class Freshness(IntEnum):
    """How much life a credential has left, from least to most."""

    EXPIRED = 0
    NEARLY_GONE = 1
    AGEING = 2
    FRESH = 3


@dataclass(frozen=True, slots=True)
class CredentialKey:
    """Name a credential: app, corp, agent, share kind and kind (engine rule 8); never a secret."""

    app: str
    corp_id: str
    agent_id: int
    share_kind: ShareKind = ShareKind.OWN
    kind: CredentialKind = CredentialKind.ACCESS_TOKEN
    parent_corp_id: str = ""
    """The corp that shares a 代开发 app with this child; a self-built app has only one such corp."""
    name: str = field(init=False, repr=False, compare=False)
    """The key as one string, for stores, leases and look-ups in memory."""

    def __post_init__(self) -> None:
        via = f":{self.parent_corp_id}" if self.parent_corp_id else ""
        name = f"{self.kind}:{self.app}:{self.share_kind}:{self.corp_id}:{self.agent_id}{via}"
        object.__setattr__(self, "name", name)

    @classmethod
    def own_token(cls, app: App) -> "CredentialKey":
        """Return the key of the app's token in its own corp."""
        return cls(app.name, app.corp_id, app.agent_id)

    @classmethod
    def child_token(cls, app: App, share: AppShare) -> "CredentialKey":
        """Return the key of the app's token in a child corp."""
        return cls.shared_token(ListingKey.of(app, share.share_kind), share)

    @classmethod
    def shared_token(cls, listing: ListingKey, share: AppShare) -> "CredentialKey":
        """Return the key of the token in the child corp of a share in that listing."""
        parent = listing.parent_corp_id
        return cls(listing.app, share.corp_id, share.agent_id, share.share_kind, parent_corp_id=parent)

    @classmethod
    def suite_token(cls, suite: Suite) -> "CredentialKey":
        """Return the key of the suite's own token."""
        return cls(suite.name, "", 0, kind=CredentialKind.SUITE_TOKEN)

    @classmethod
    def provider_token(cls, provider: Provider) -> "CredentialKey":
        """Return the key of the provider's token."""
        return cls(provider.name, provider.corp_id, 0, kind=CredentialKind.PROVIDER_TOKEN)

    @classmethod
    def read(cls, name: str) -> "CredentialKey | None":
        """Return the key of that name; None if no credential has such a name."""
        kind, *parts = name.split(":")
        if kind not in set(CredentialKind) or len(parts) not in {4, 5}:
            return None
        app, share_kind, corp_id, agent_id, *via = parts
        if share_kind not in set(ShareKind) or not agent_id.isdecimal():
            return None
        parent = via[0] if via else ""
        return cls(app, corp_id, int(agent_id), ShareKind(share_kind), CredentialKind(kind), parent)

    def of_kind(self, kind: CredentialKind) -> "CredentialKey":
        """Return the key of another credential of the same app in the same corp.

        Raises `InvalidRequest` for the agent ticket of an app that has no agent id, and for any credential
        of a corp where the key is a suite's or a provider's.
        """
        if kind not in CORP_KINDS or self.kind not in CORP_KINDS:
            raise InvalidRequest("target.corp_id", NO_CORP, app=self.app)
        if kind is CredentialKind.AGENT_TICKET and not self.agent_id:
            raise InvalidRequest("target.app", NO_AGENT, app=self.app)
        return self if kind is self.kind else replace(self, kind=kind)

    def __hash__(self) -> int:
        return hash(self.name)


@dataclass(frozen=True, slots=True)
class RefreshPolicy:
    """When a credential is renewed: the `[refresh]` table of the configuration."""

    advisory: float = 0.8
    mandatory: timedelta = timedelta(seconds=60)
    cooldown: timedelta = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Grant:
    """WeCom's answer to a fetch: a value, and how long it is valid from the moment of asking."""

    value: Secret
    lifetime: timedelta
    asked_at: datetime | None = None
    """The moment of asking, if another credential had to be fetched first."""
    identity: str = ""
    """That of the app which asked (`App.identity`)."""

    def credential(
        self, key: CredentialKey, fence: int, asked_at: datetime, held: "Credential | None"
    ) -> "Credential":
        """Return the credential to commit; the value that is held keeps its generation (engine rule 5)."""
        ends = asked_at + self.lifetime
        if held is None or held.value != self.value:
            return Credential(key, self.value, fence, fence, asked_at, ends, asked_at, identity=self.identity)
        return replace(held.repeated(fence, asked_at, ends), identity=self.identity)


@dataclass(frozen=True, slots=True)
class Credential:
    """A value with its lifetime; all datetimes are aware, and by the fleet's clock."""

    key: CredentialKey
    value: Secret
    generation: int
    """The fence of the commit that first had this value; callers see and report it."""
    fence: int
    """The fence of the last commit; above `generation` if a renewal gave the same value again."""
    obtained_at: datetime
    expires_at: datetime
    renewed_at: datetime
    """When WeCom last gave this value; later than `obtained_at` where a renewal gave it again."""
    promised_until: datetime | None = None
    """The end that WeCom first gave, if WeCom gave the value again after it: `expires_at` is a guess then."""
    identity: str = ""
    """The app's (`App.identity`); empty if an older broker wrote it."""

    def freshness(self, now: datetime, policy: RefreshPolicy, min_ttl: timedelta = NO_TIME) -> Freshness:
        """Return how fresh it is, which decides what to do with it (engine rule 4)."""
        left = self.expires_at - now
        if left <= NO_TIME:
            return Freshness.EXPIRED
        # WeCom gives no longer life than it last did: a larger `min_ttl` must not cause fetch after fetch.
        granted = self.expires_at - self.renewed_at
        wished = min_ttl if min_ttl <= granted else granted * policy.advisory
        if left < wished or left < self._mandatory(policy):
            return Freshness.NEARLY_GONE
        if now >= self.advisory_moment(policy):
            return Freshness.AGEING
        return Freshness.FRESH

    def advisory_moment(self, policy: RefreshPolicy) -> datetime:
        """Return when to renew in the background: after the share `advisory` of its life since renewal."""
        return self.renewed_at + (self.expires_at - self.renewed_at) * policy.advisory

    def fresh_until(self, policy: RefreshPolicy) -> datetime:
        """Return the moment until which it is FRESH for a caller without a `min_ttl`."""
        return min(self.advisory_moment(policy), self.nearly_gone_at(policy))

    def nearly_gone_at(self, policy: RefreshPolicy) -> datetime:
        """Return from when on callers wait for its renewal."""
        return self.expires_at - self._mandatory(policy)

    def _mandatory(self, policy: RefreshPolicy) -> timedelta:
        if self.promised_until:
            return NO_TIME  # Its end is a guess, for which nobody waits.
        return min(policy.mandatory, (self.expires_at - self.obtained_at) / 10)

    def repeated(self, fence: int, asked_at: datetime, ends: datetime) -> "Credential":
        """Return it as WeCom gave it once more when it was asked at that moment (engine rule 5).

        WeCom's own end may lie after the broker's: its answer took a while, or its clock is behind. So a
        value that WeCom gives after its end is believed for as long again as it has outlived that end, and
        not beyond `ends`.
        """
        if self.is_valid(asked_at):
            return replace(self, fence=fence, renewed_at=asked_at)
        promised = self.promised_until or self.expires_at
        ends = min(ends, asked_at + (asked_at - promised))
        return replace(self, fence=fence, expires_at=ends, renewed_at=asked_at, promised_until=promised)

    def renewals_a_minute(self, policy: RefreshPolicy) -> float:
        """Return how often it is renewed ahead of time, on average."""
        period = self.advisory_moment(policy) - self.renewed_at
        return MINUTE / max(period, MOMENT)

    def renewed_lately(self, now: datetime, policy: RefreshPolicy) -> bool:
        """Return whether it is valid, and so new that WeCom would hardly give a better one."""
        lately = min(policy.cooldown, (self.expires_at - self.renewed_at) / 10)
        return self.is_valid(now) and now - self.renewed_at < lately

    @property
    def is_repeated(self) -> bool:
        """Return whether the last renewal gave the same value again."""
        return self.fence > self.generation

    def outlasts_asking(self, now: datetime, policy: RefreshPolicy) -> bool:
        """Return whether WeCom has nothing better until it expires: it is valid, nearly gone and repeated."""
        return self.is_valid(now) and self.is_repeated and self.expires_at - now < self._mandatory(policy)

    def ends_before_an_answer(self, now: datetime) -> bool:
        """Return whether WeCom would repeat it now, and it would expire before the answer arrives."""
        left = self.expires_at - now
        return NO_TIME < left < min(MOMENT, (self.expires_at - self.obtained_at) / 10) and self.is_repeated

    def reconciled(self, other: "Credential") -> "Credential":
        """Return the one that was committed last, with a new generation above both where needed.

        One was fetched while the store was unavailable, perhaps at the same moment as the other. Callers have
        seen both generations: a generation must not go back, nor stand for two values (engine rule 3).
        """
        newest, older = (self, other) if self.fence > other.fence else (other, self)
        if newest.generation == older.generation and newest.value == older.value:
            return newest
        if newest.generation > older.generation and newest.fence > older.fence:
            return newest
        return replace(newest, fence=newest.fence + 1, generation=newest.fence + 1)

    def is_worth_sharing(self, now: datetime) -> bool:
        """Return whether a store that lost it should have it back."""
        return self.is_valid(now)

    def is_valid(self, now: datetime) -> bool:
        """Return whether it may still be served."""
        return now < self.expires_at
