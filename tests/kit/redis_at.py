"""A Redis client for an address as it stands in a configuration."""

from contextlib import AbstractAsyncContextManager

from broker.adapters.redis.client import RedisClient
from broker.adapters.redis.client import connect_redis as connect
from broker.config.store_url import login_in, redis_address
from broker.domain.ports.observer import Observer
from broker.domain.ports.tracer import NO_TRACER, Tracer
from broker.domain.secret import Secret
from broker.domain.stores.redis_address import Logins


def connect_redis(
    url: str, observer: Observer | None = None, tracer: Tracer = NO_TRACER
) -> AbstractAsyncContextManager[RedisClient]:
    """Open the pools, as a broker does whose sentinels have the users of the servers."""
    login = login_in(Secret(url))
    return connect(redis_address(Secret(url)), Logins(login, login), observer, tracer)
