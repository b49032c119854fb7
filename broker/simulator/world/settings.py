"""Settings of the world: the behaviour that WeCom's documentation leaves open."""

from dataclasses import dataclass, field
from enum import StrEnum

from broker.simulator.world.tokens import Habit

_ERRCODE_ON_FAILURE_ONLY = (
    "/cgi-bin/service/get_suite_token",
    "/cgi-bin/service/get_provider_token",
    "/cgi-bin/service/get_corp_token",
)
"""Documented so, though the samples of two of them have one (wecom-api G7)."""


class OldSecretDies(StrEnum):
    """Name when a reset ends the old secret of a 代开发 app (wecom-api B15)."""

    AT_RESET = "at_reset"
    AT_EXCHANGE = "at_exchange"


class ShareCdata(StrEnum):
    """Name how share events of suites write the parent's corpid; the sample is malformed (wecom-api G18)."""

    WELL_FORMED = "well_formed"
    WITHOUT_BEGINNING = "without_beginning"
    """`![CDATA[ww1]]>`, which is no XML."""
    WITHOUT_ENDS = "without_ends"
    """`![CDATA[ww1]]`, which is text."""


class CustomizedShare(StrEnum):
    """Name how a child gets a shared 代开发 app, on which WeCom's pages disagree (wecom-api B13)."""

    CHILD_TOKEN = "child_token"
    """As it gets a self-built app: the parent's token is exchanged for the child's."""
    CREATE_AUTH = "create_auth"
    """As it gets a third-party app, by an installation of its own; the parent's token works too."""


@dataclass(slots=True)
class Settings:
    """Hold settings that may be changed at any time; seconds may be fractional."""

    token_lifetime: float = 7200.0
    ticket_lifetime: float = 7200.0
    habit: Habit = Habit.SAME_VALUE_FULL_LIFETIME
    habits: dict[str, Habit] = field(default_factory=dict)
    old_value_alive: float | None = None
    expiry_errcode: int = 42001
    death_errcode: int = 40014
    wrong_secret_errcode: int = 40001
    disabled_app_errcode: int = 50003
    wrong_secret_limit: int = 5
    ban_seconds: float = 3600.0
    ban_covers_everything: bool = False
    unsharing_kills_tokens: bool = True
    tickets_an_hour_of_a_corp: int = 400
    tickets_an_hour_of_an_app: int = 100
    tickets_count_together: bool = False
    code_lifetime: float = 300.0
    used_code_errcode: int = 42022
    expired_code_errcode: int = 42003
    unbound_app_errcode: int = 40014
    user_ticket_lifetime: float = 1800.0
    new_session_ends_last: bool = False
    supply_chain_userids_encrypted: bool = True
    callback_ips: list[str] = field(default_factory=lambda: ["127.0.0.1", "::1"])
    omit_errcode: set[str] = field(default_factory=lambda: set(_ERRCODE_ON_FAILURE_ONLY))
    suite_ticket_lifetime: float = 1800.0
    suite_tickets_accepted: int | None = 3
    suite_token_lifetime: float = 7200.0
    provider_token_lifetime: float = 7200.0
    expired_suite_token_errcode: int = 42009
    dead_suite_token_errcode: int = 40082
    auth_code_lifetime: float = 600.0
    pre_auth_code_lifetime: float = 1200.0
    suite_user_ticket_lifetime: float = 7200.0
    cancelled_errcode: int = 40084
    never_authorized_errcode: int = 40082
    old_secret_dies: OldSecretDies = OldSecretDies.AT_EXCHANGE
    reinstall_keeps_permanent_code: bool = False
    customized_share: CustomizedShare = CustomizedShare.CHILD_TOKEN
    share_cdata: ShareCdata = ShareCdata.WITHOUT_BEGINNING
    create_auth_for_provider: bool = False
    max_body_bytes: int = 1 << 20

    def habit_of(self, path: str) -> Habit:
        """Return the habit of one endpoint."""
        return self.habits.get(path, self.habit)
