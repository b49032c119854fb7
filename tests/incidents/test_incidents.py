"""Each incident of the table: the doctor names the cause, the alert fires, and the remedy works."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.incidents import callbacks, callers, listeners, replicas, stores, suites, wecom
from tests.incidents.ground import Stage, Told

ALL = bool(os.environ.get("INCIDENTS"))
INCIDENTS: Mapping[str, Stage] = {
    "wrong secret": wecom.wrong_secret,
    "IP not trusted": wecom.untrusted_address,
    "app disabled": wecom.app_disabled,
    "Redis killed": stores.redis_killed,
    "Redis password changed": stores.redis_password_changed,
    "Redis full, read-only": stores.redis_full,
    "clock 10 min ahead on one replica": replicas.clock_wrong,
    "share removed without an event": wecom.share_removed,
    "seal key changed, one replica left out": stores.seal_key_left_out,
    "callback Token mismatch": callbacks.token_changed,
    "dead events": callbacks.events_given_up,
    "jsapi quota spent by a caller": callers.ticket_quota_spent,
    "WeCom slow, then down": wecom.wecom_away,
    "certificate expired: the clients' CA": listeners.client_authority_ended,
    "caller denied": callers.denied,
    "SQLite disk full": stores.disk_full,
    "replica stuck (SIGSTOP)": replicas.replica_stuck,
    "DNS gone": wecom.no_name_server,
    "suite ticket lost": suites.ticket_lost,
    "authorisation LOST": suites.authorization_lost,
    "permission ends": suites.permission_ends,
    "caller over its limit": callers.over_its_limit,
    "a listener's certificate ended": listeners.server_certificate_ended,
}
QUICK = {"wrong secret", "app disabled", "callback Token mismatch", "caller denied"}
"""Those of `make test`; `make incidents` stages all of them."""


@pytest.mark.parametrize("name", [name for name in INCIDENTS if ALL or name in QUICK])
async def test_the_doctor_names_the_cause_and_the_remedy_works(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    told = Told()
    try:
        await INCIDENTS[name](tmp_path, told)
    finally:
        request.node.user_properties.append(
            ("incident", (name, told.line, told.alert, told.remedy, told.worked))
        )
    assert told.worked
