"""Access tokens by target: find which credential is meant, and let the engine hand it out."""

from collections.abc import AsyncGenerator
from datetime import timedelta

from broker.domain.apps import Target
from broker.domain.credentials import NO_TIME, Credential, CredentialKey, CredentialKind
from broker.domain.errors import InvalidRequest
from broker.usecases.credentials.engine import CredentialEngine
from broker.usecases.credentials.reports import ReportOutcome
from broker.usecases.limits.forced import NOBODY
from broker.usecases.shares.targets import Targets

DEAD_TOKEN_CODES = frozenset({40014, 42001})
"""WeCom's errcodes for a dead token (wecom-api D); a caller that does not know the errcode reports 0."""
DEAD_SUITE_TOKEN_CODES = DEAD_TOKEN_CODES | {40082, 42009}
"""Those for the tokens of suites and providers."""


class AccessTokens:
    """Tokens of corps, suites and providers, for callers who know a name and a corp id only."""

    def __init__(self, targets: Targets, engine: CredentialEngine) -> None:
        self._targets = targets
        self._engine = engine

    async def get(self, target: Target, min_ttl: timedelta = NO_TIME, by: str = NOBODY) -> Credential:
        """Return a valid token, with `min_ttl` left if WeCom gives one that long and `by` may ask for it.

        Raises `UnknownApp`, `AppNotShared`, `CorpNotAuthorized`, `AmbiguousTarget`, `InvalidRequest`, and
        what the engine raises.
        """
        if min_ttl < NO_TIME:
            raise InvalidRequest("min_ttl", "must not be negative")
        return await self._targets.reach(target, lambda key: self._engine.get(key, min_ttl, by))

    async def watch(self, target: Target) -> AsyncGenerator[Credential, None]:
        """Return a generator of the current token, then of each rotation. Raises as `get`."""
        await self.get(target)
        return self._engine.watch(await self._targets.locate(target))

    async def report(
        self, target: Target, generation: int, errcode: int, by: str = NOBODY
    ) -> tuple[ReportOutcome, Credential]:
        """Replace a token that WeCom called dead, if it is still the current one.

        Raises `CallerLimited`, and as `get`.
        """
        key = await self._targets.locate(target)
        is_of_corp = key.kind is CredentialKind.ACCESS_TOKEN
        check_report(generation, errcode, DEAD_TOKEN_CODES if is_of_corp else DEAD_SUITE_TOKEN_CODES)

        async def replace(present: CredentialKey) -> tuple[ReportOutcome, Credential]:
            return await replace_reported(self._engine, key, present, generation, by)

        return await self._targets.reach(target, replace)


async def replace_reported(
    engine: CredentialEngine, reported: CredentialKey, present: CredentialKey, generation: int, by: str
) -> tuple[ReportOutcome, Credential]:
    """Replace what was reported, unless the target has the app under another agent id by now."""
    if present != reported:
        return ReportOutcome.ALREADY_ROTATED, await engine.get(present)
    return await engine.replace(reported, generation, by)


def check_report(generation: int, errcode: int, codes: frozenset[int]) -> None:
    """Refuse a report without a generation, or of another code. Raises `InvalidRequest`."""
    if generation <= 0:
        raise InvalidRequest("generation", "must be the generation of what WeCom refused")
    if errcode and errcode not in codes:
        meant = ", ".join(str(code) for code in sorted(codes))
        raise InvalidRequest("errcode", f"{errcode} does not say that it is dead; these do: {meant}")
