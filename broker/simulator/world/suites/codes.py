"""The codes of an installation: pre_auth_code (预授权码), and auth_code (临时授权码)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from broker.simulator.answers import Refusal
from broker.simulator.world.randomness import Randomness
from broker.simulator.world.settings import Settings
from broker.simulator.world.suites.authorization import Authorization

_SHORTEST = 64
_LONGEST = 512


class AuthCodePurpose(StrEnum):
    """Name what an auth_code was handed out for."""

    INSTALL = "install"
    RESET = "reset"


@dataclass(slots=True)
class AuthCode:
    """Hold one auth_code: it fetches the permanent code of its authorisation, once."""

    value: str = field(repr=False)
    purpose: AuthCodePurpose
    authorization: Authorization
    expires_at: float
    state: str = ""
    used: bool = False


@dataclass(slots=True)
class PreAuthCode:
    """Hold one pre_auth_code."""

    value: str = field(repr=False)
    suite_id: str
    expires_at: float
    test_install: bool = False


class InstallCodes:
    """Hold the codes of installations."""

    def __init__(self, settings: Settings, randomness: Randomness) -> None:
        self._settings = settings
        self._randomness = randomness
        self._auth: dict[str, AuthCode] = {}
        self._of: dict[tuple[str, str], list[AuthCode]] = {}
        self._pre: dict[str, PreAuthCode] = {}

    def add(self, purpose: AuthCodePurpose, authorization: Authorization, state: str, now: float) -> AuthCode:
        """Hand out an auth_code."""
        code = AuthCode(
            self._randomness.auth_code(),
            purpose,
            authorization,
            now + self._settings.auth_code_lifetime,
            state,
        )
        self._auth[code.value] = code
        self._of.setdefault((authorization.suite_id, authorization.corpid), []).append(code)
        return code

    def of(self, authorization: Authorization) -> Iterator[AuthCode]:
        """Yield the auth_codes of an authorisation, oldest first."""
        codes = self._of.get((authorization.suite_id, authorization.corpid), [])
        return (code for code in codes if code.authorization is authorization)

    def spend(self, value: str, suite_id: str, now: float) -> AuthCode:
        """Consume an auth_code of the suite; another suite is refused and does not consume it."""
        if not _SHORTEST <= len(value.encode(errors="replace")) <= _LONGEST:
            raise Refusal(40058, f"invalid auth_code, exceed min length {_SHORTEST} or max length {_LONGEST}")
        code = self._auth.get(value)
        if (
            code is None
            or code.authorization.suite_id != suite_id
            or code.used
            or now >= code.expires_at
            or not code.authorization.active
        ):
            raise Refusal(40078)
        code.used = True
        return code

    def add_pre(self, suite_id: str, now: float) -> PreAuthCode:
        """Hand out a pre_auth_code."""
        code = PreAuthCode(self._randomness.code(), suite_id, now + self._settings.pre_auth_code_lifetime)
        self._pre[code.value] = code
        return code

    def pre(self, value: str, suite_id: str, now: float) -> PreAuthCode:
        """Find a pre_auth_code of the suite."""
        code = self._pre.get(value)
        if code is None or code.suite_id != suite_id:
            raise Refusal(40077)
        if now >= code.expires_at:
            raise Refusal(42007)
        return code
