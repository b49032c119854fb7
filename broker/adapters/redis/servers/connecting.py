"""How every connection to a server is made."""

from collections.abc import Callable
from typing import Any

from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.maint_notifications import MaintNotificationsConfig

from broker.domain.stores.redis_address import Login, RedisAddress


class PresentLogin(CredentialProvider):
    """Each new connection logs in as the configuration says by then."""

    def __init__(self, login: Callable[[], Login]) -> None:
        self._login = login

    def get_credentials(self) -> Any:  # noqa: ANN401 - redis-py forgets that there may be none
        """Return user and password, the password alone, or nothing."""
        login = self._login()
        words = (login.user, login.password.reveal())
        return words if login.user else tuple(word for word in words if word)

    async def get_credentials_async(self) -> Any:  # noqa: ANN401 - as above
        """See `get_credentials`."""
        return self.get_credentials()


def options(login: Callable[[], Login], *, connect_within: float) -> dict[str, Any]:
    """Return the arguments of a connection."""
    return {
        "credential_provider": PresentLogin(login),
        "socket_timeout": None,  # each command has its own; a subscription waits for ever
        "socket_connect_timeout": connect_within,
        "socket_keepalive": True,
        "health_check_interval": 0,
        "retry": never_again(),
        # Each would cost every new connection a round trip, and the broker's user may do neither.
        "driver_info": None,
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }


def encryption(address: RedisAddress) -> dict[str, Any]:
    """Return the arguments of a connection over TLS, or none."""
    return {} if address.tls is None else {"ssl": True, **address.tls}


def never_again() -> Retry:
    """Return what makes redis-py try once: the client decides what happens after a failure."""
    return Retry(NoBackoff(), 0)
