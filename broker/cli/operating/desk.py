"""What the commands of operators have in common: a connection, and two forms of output."""

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

from wecom_broker import Broker, Tls
from wecom_broker.v1.admin_service_pb2_grpc import AdminServiceStub

from broker.cli.ending import say_none
from broker.cli.json_line import print_json
from broker.cli.operating import table
from broker.cli.operating.plain import plain
from broker.cli.remote.connection import (
    address_option,
    asynchronous,
    json_option,
    open_broker,
    tls_options,
)

if TYPE_CHECKING:
    from wecom_broker.v1.admin_service_pb2_grpc import AdminServiceAsyncStub

Given = ParamSpec("Given")
PAGE = 1000


class Desk:
    """One broker that is asked, and who reads the answers: people or a program."""

    def __init__(self, broker: Broker, *, as_json: bool) -> None:
        self.broker = broker
        self.as_json = as_json
        self.admin: AdminServiceAsyncStub = AdminServiceStub(broker.channel)

    async def ask(self, method: Any, request: Any) -> Any:  # noqa: ANN401 - each method has types of its own
        """Return the answer. Raises BrokerError."""
        return await self.broker.ask(method, request)

    async def pages(self, method: Any, request: Any, field: str) -> AsyncIterator[Any]:  # noqa: ANN401
        """Yield what is on all pages. Raises BrokerError."""
        request.page_size = PAGE
        while True:
            page = await self.ask(method, request)
            for each in getattr(page, field):
                yield each
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def show(
        self, found: Sequence[Any], heads: Sequence[str], row: Callable[[Any], Sequence[object]]
    ) -> None:
        """Print messages: a line of JSON each, or a table; say where there are none."""
        if not found:
            say_none(as_json=self.as_json)
        elif self.as_json:
            for each in found:
                print_json(plain(each))
        else:
            table.show(heads, [row(each) for each in found])


def operating(
    command: Callable[Concatenate[Desk, Given], Coroutine[Any, Any, None]],
) -> Callable[..., None]:
    """Add the options of a connection and of the output, and pass both as a `Desk`."""

    @wraps(command)
    async def connected(
        address: str, tls: Tls | None, as_json: bool, *args: Given.args, **kwargs: Given.kwargs
    ) -> None:
        async with open_broker(address, tls) as broker:
            await command(Desk(broker, as_json=as_json), *args, **kwargs)

    run = asynchronous(connected)
    for option in (json_option, tls_options, address_option):
        run = option(run)
    return run
