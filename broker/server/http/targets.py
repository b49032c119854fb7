"""The target of a request: aiohttp reads `CONNECT` without one as HTTP/0.9 without a URL, and fails."""

from collections.abc import Callable
from typing import Any

from aiohttp import HttpVersion10, web
from yarl import URL

MakeRequest = Callable[..., web.BaseRequest]
NOWHERE = URL("/")
"""No route is there, so the request is refused."""


def with_a_target(make_request: MakeRequest) -> MakeRequest:
    """Return a factory of requests in which one without a target has `/`, and is the connection's last."""

    def make(message: Any, *others: Any) -> web.BaseRequest:  # noqa: ANN401 - aiohttp's own type
        if message.url is None:
            message = message._replace(
                url=NOWHERE, path=str(NOWHERE), version=HttpVersion10, should_close=True
            )
        return make_request(message, *others)

    return make
