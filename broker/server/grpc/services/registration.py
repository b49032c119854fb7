"""All services of the broker."""

from dataclasses import dataclass
from typing import Any

from wecom_broker.v1 import (
    admin_service_pb2_grpc,
    app_share_service_pb2_grpc,
    callback_service_pb2_grpc,
    event_service_pb2_grpc,
    identity_service_pb2_grpc,
    js_sdk_service_pb2_grpc,
    mini_program_service_pb2_grpc,
    suite_service_pb2_grpc,
    token_service_pb2_grpc,
    wecom_api_service_pb2_grpc,
)

from broker.server.grpc.door import Registrar
from broker.server.grpc.services.admin import AdminServicer
from broker.server.grpc.services.app_shares import AppShareServicer
from broker.server.grpc.services.callbacks import CallbackServicer
from broker.server.grpc.services.events import EventServicer
from broker.server.grpc.services.identity import IdentityServicer
from broker.server.grpc.services.js_sdk import JsSdkServicer
from broker.server.grpc.services.mini_program import MiniProgramServicer
from broker.server.grpc.services.suites import SuiteServicer
from broker.server.grpc.services.tokens import TokenServicer
from broker.server.grpc.services.wecom_api import WecomApiServicer


@dataclass(frozen=True, slots=True)
class Servicers:
    """One servicer per service."""

    tokens: TokenServicer
    shares: AppShareServicer
    js_sdk: JsSdkServicer
    identity: IdentityServicer
    mini_programs: MiniProgramServicer
    events: EventServicer
    callbacks: CallbackServicer
    wecom_api: WecomApiServicer
    suites: SuiteServicer
    admin: AdminServicer

    def register(self, registrar: Registrar) -> None:
        """Register each behind the guard."""
        server: Any = registrar
        token_service_pb2_grpc.add_TokenServiceServicer_to_server(self.tokens, server)
        app_share_service_pb2_grpc.add_AppShareServiceServicer_to_server(self.shares, server)
        js_sdk_service_pb2_grpc.add_JsSdkServiceServicer_to_server(self.js_sdk, server)
        identity_service_pb2_grpc.add_IdentityServiceServicer_to_server(self.identity, server)
        mini_program_service_pb2_grpc.add_MiniProgramServiceServicer_to_server(self.mini_programs, server)
        event_service_pb2_grpc.add_EventServiceServicer_to_server(self.events, server)
        callback_service_pb2_grpc.add_CallbackServiceServicer_to_server(self.callbacks, server)
        wecom_api_service_pb2_grpc.add_WecomApiServiceServicer_to_server(self.wecom_api, server)
        suite_service_pb2_grpc.add_SuiteServiceServicer_to_server(self.suites, server)
        admin_service_pb2_grpc.add_AdminServiceServicer_to_server(self.admin, server)
