"""What stands behind the refusals that a replica remembers: one cause refuses many credentials at once."""

from collections import Counter
from collections.abc import Collection, Iterable
from typing import NamedTuple

from broker.domain.errors import RateLimited, WecomRefused
from broker.domain.remembered_errors import RememberedError

OTHER = "other"
"""An endpoint that a caller chose: there may be any number of them."""


class Cause(NamedTuple):
    """Who must change what. Each field has few values, so that they may be labels of a metric."""

    app: str
    """Empty where WeCom closed an endpoint to a corp, whichever app calls it."""
    reason: str
    errcode: str
    endpoint: str
    ip: str
    """The address that WeCom does not trust."""


def count_causes(remembered: Iterable[RememberedError], endpoints: Collection[str]) -> Counter[Cause]:
    """Return how many refusals each cause has; nothing of outages, and of what callers did wrong."""
    return Counter(
        _cause(each, endpoints) for each in remembered if issubclass(each.kind, WecomRefused | RateLimited)
    )


def _cause(remembered: RememberedError, endpoints: Collection[str]) -> Cause:
    found = remembered.metadata.get
    endpoint = found("endpoint", "")
    return Cause(
        app=remembered.app,
        reason=remembered.kind.reason,
        errcode=found("errcode", ""),
        endpoint=endpoint if endpoint in endpoints or not endpoint else OTHER,
        ip=found("ip", ""),
    )
