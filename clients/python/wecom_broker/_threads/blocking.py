"""Turns methods of the asyncio client into blocking ones."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator

    from wecom_broker import _broker
    from wecom_broker._threads.background import Background

Given = ParamSpec("Given")
Result = TypeVar("Result")


class Threaded(Protocol):
    """A client for threads: the asyncio client, and the thread that drives it."""

    _broker: _broker.Broker
    _background: Background


def blocking(
    method: Callable[Concatenate[_broker.Broker, Given], Coroutine[object, object, Result]],
) -> Callable[Concatenate[Threaded, Given], Result]:
    """Return a method that waits for the result of this one."""

    @wraps(method)
    def call(self: Threaded, /, *args: Given.args, **kwargs: Given.kwargs) -> Result:
        return self._background.result(method(self._broker, *args, **kwargs))

    return call


def iterating(
    method: Callable[Concatenate[_broker.Broker, Given], AsyncGenerator[Result]],
) -> Callable[Concatenate[Threaded, Given], Iterator[Result]]:
    """Return a method that yields what this one yields."""

    @wraps(method)
    def iterate(self: Threaded, /, *args: Given.args, **kwargs: Given.kwargs) -> Iterator[Result]:
        return self._background.iterate(method(self._broker, *args, **kwargs))

    return iterate
