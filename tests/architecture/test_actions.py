"""No rpc without a right: each declares the action that its caller needs."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator

from broker.server.grpc import services
from broker.server.grpc.entry.rights import requirement_of
from tests.kit.actions import ACTIONS, rpcs


def servicers() -> Iterator[type]:
    """Yield the servicers of the broker."""
    for found in pkgutil.iter_modules(services.__path__):
        module = importlib.import_module(f"{services.__name__}.{found.name}")
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if kind.__module__ == module.__name__ and kind.__name__.endswith("Servicer"):
                yield kind


def test_every_rpc_is_promised_to_need_an_action_and_nothing_else_is() -> None:
    assert set(rpcs()) == set(ACTIONS)


def test_every_handler_declares_the_action_that_is_promised() -> None:
    declared = {
        f"/wecom_broker.v1.{kind.__name__.removesuffix('Servicer')}Service/{name}": requirement_of(
            name, handler
        )
        for kind in servicers()
        for name, handler in vars(kind).items()
        if name[0].isupper()
    }

    assert ACTIONS == {rpc: requirement.action for rpc, requirement in declared.items()}
