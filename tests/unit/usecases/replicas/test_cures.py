"""What a store or WeCom said last leads to what brings it back."""

import pytest

from broker.usecases.replicas.cures import STAY, store_cure, wecom_cure


@pytest.mark.parametrize(
    ("said", "cure"),
    [
        ("Redis is not available: WRONGPASS invalid username-password pair", "store.password"),
        ("Redis is not available: NOAUTH Authentication required.", "store.password"),
        ("Redis is not available: OOM command not allowed when used memory > 'maxmemory'.", "maxmemory"),
        ("Redis is not available: READONLY You can't write against a read only replica.", "primary"),
        ("Redis is not available: MISCONF Redis is configured to save RDB snapshots", "disk"),
        ("Redis is not available: NOPERM this user has no permissions", "rights"),
        (
            "Redis is not available: ConnectionError: Error 111 connecting to 127.0.0.1:6379.",
            "bring the store",
        ),
        (
            "Redis is not available: Error 111 connecting to names.example:6379.",
            "bring the store",
        ),
        (
            "Redis is not available: Error -2 connecting to r:6379. Name or service not known.",
            "name server",
        ),
        ("Redis is not available: TimeoutError", "bring the store back"),
        ("the embedded store failed: database or disk is full", "free space"),
        ("the embedded store failed: disk I/O error", "free space"),
    ],
)
def test_a_store_that_is_away_names_its_cure_and_keeps_operators_from_a_restart(said: str, cure: str) -> None:
    assert cure in store_cure(said)
    assert store_cure(said).endswith(STAY)


@pytest.mark.parametrize(
    ("said", "cure"),
    [
        ("WeCom cannot be reached: the name qyapi.weixin.qq.com cannot be resolved", "name server"),
        ("WeCom cannot be reached: the certificate of qyapi.weixin.qq.com is not trusted", "[wecom] ca"),
        ("the proxy 10.0.0.3:3128 refuses the broker's credentials (HTTP 407)", "[wecom] proxy"),
        ("WeCom answered HTTP 502", "heals by itself"),
        ("WeCom did not answer in time", "heals by itself"),
        ("WeCom cannot be reached: no connection to 203.0.113.7:443", "firewall"),
    ],
)
def test_a_wecom_that_is_away_names_its_cure(said: str, cure: str) -> None:
    assert cure in wecom_cure(said)
