"""Settings of the world: the behaviour that WeCom's documentation leaves open."""

from dataclasses import dataclass, field

from broker.simulator.world.tokens import Habit


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
    user_ticket_lifetime: float = 1800.0
    new_session_ends_last: bool = False
    supply_chain_userids_encrypted: bool = True
    callback_ips: list[str] = field(default_factory=lambda: ["127.0.0.1", "::1"])
    omit_errcode: set[str] = field(default_factory=set)
    max_body_bytes: int = 1 << 20

    def habit_of(self, path: str) -> Habit:
        """Return the habit of one endpoint."""
        return self.habits.get(path, self.habit)
