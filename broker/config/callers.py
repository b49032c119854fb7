"""`[[callers]]`: who may call, what each may do, and how much it may ask for."""

from typing import Annotated

from pydantic import Field, model_validator

from broker.config.field_types import Identity, Name, TokenDigest
from broker.config.table import Table
from broker.domain.access import Action, Limits

DEFAULT = Limits()
Count = Annotated[int, Field(strict=True, ge=0, le=10**9)]


class RuleTable(Table):
    """One of `allow` of a caller."""

    apps: Annotated[list[str], Field(min_length=1)]
    corps: Annotated[list[str], Field(min_length=1)] = ["*"]
    actions: Annotated[list[Action], Field(min_length=1)]
    paths: list[str] = []


class LimitsTable(Table):
    """`limits` of a caller."""

    calls_per_minute: Count = DEFAULT.calls_per_minute
    calls_at_once: Count = DEFAULT.calls_at_once
    streams: Count = DEFAULT.streams
    forced_per_minute: Count = DEFAULT.forced_per_minute
    facade_tokens_per_minute: Count = DEFAULT.facade_tokens_per_minute


class CallerTable(Table):
    """One of `[[callers]]`."""

    name: Name
    identity: Identity | None = None
    token_sha256: TokenDigest | None = None
    allow: list[RuleTable] = []
    limits: LimitsTable = LimitsTable()

    @model_validator(mode="after")
    def _one_proof(self) -> "CallerTable":
        if self.identity is not None and self.token_sha256 is not None:
            raise ValueError("needs either identity or token_sha256")
        return self
