"""The `Expect` header: aiohttp repeats an unknown one in its refusal, and stumbles over odd bytes."""

from collections.abc import Callable
from typing import Any

from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

MakeRequest = Callable[..., web.BaseRequest]
KNOWN = "100-continue"


def without_odd_expectations(make_request: MakeRequest) -> MakeRequest:
    """Return a factory of requests in which an unknown expectation has lost its text."""

    def make(message: Any, *others: Any) -> web.BaseRequest:  # noqa: ANN401 - aiohttp's own type
        if message.headers.get("Expect", KNOWN).lower() != KNOWN:
            headers = CIMultiDict(message.headers)
            headers["Expect"] = "something"
            message = message._replace(headers=CIMultiDictProxy(headers))
        return make_request(message, *others)

    return make
