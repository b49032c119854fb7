"""A connection carries more than its caller may have: who asks for too much is told, instead of waiting."""

from typing import Any

import pytest

from broker.config.listening.most_streams import MOST_STREAMS, SPARE, most_streams
from broker.config.load import parse_config

APP = {"name": "crm", "corp_id": "ww0123456789abcdef", "secret": "s3cret"}


def callers(*limits: dict[str, int]) -> list[dict[str, Any]]:
    return [
        {"name": f"caller{number}", "token_sha256": f"{number:064x}", "limits": each}
        for number, each in enumerate(limits)
    ]


@pytest.mark.parametrize(
    ("configured", "most"),
    [
        (callers(), MOST_STREAMS),
        (callers({}), 2000 + SPARE),
        (callers({"streams": 10}, {"streams": 12000, "calls_at_once": 50}), 12050 + SPARE),
    ],
)
def test_it_is_more_than_the_limits_of_any_caller(configured: list[dict[str, Any]], most: int) -> None:
    assert most == most_streams(parse_config({"apps": [APP], "callers": configured}))
