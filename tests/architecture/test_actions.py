"""No rpc without a right: each asks for an action."""

import importlib
import pkgutil

import wecom_broker.v1

from broker.server.grpc.guard import ACTIONS


def rpcs() -> set[str]:
    """Return the rpcs of all services, as a call names them."""
    modules = [importlib.import_module(f"wecom_broker.v1.{found.name}") for found in stub_modules()]
    services = [service for module in modules for service in module.DESCRIPTOR.services_by_name.values()]
    return {f"/{service.full_name}/{method.name}" for service in services for method in service.methods}


def stub_modules() -> list[pkgutil.ModuleInfo]:
    """Return the modules that describe messages and services."""
    return [found for found in pkgutil.iter_modules(wecom_broker.v1.__path__) if found.name.endswith("_pb2")]


def test_every_rpc_needs_an_action_and_nothing_else_does() -> None:
    assert rpcs() == set(ACTIONS)
