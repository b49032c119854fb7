"""The generated stubs, by service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wecom_broker.v1.app_share_service_pb2_grpc import AppShareServiceStub
from wecom_broker.v1.callback_service_pb2_grpc import CallbackServiceStub
from wecom_broker.v1.event_service_pb2_grpc import EventServiceStub
from wecom_broker.v1.identity_service_pb2_grpc import IdentityServiceStub
from wecom_broker.v1.js_sdk_service_pb2_grpc import JsSdkServiceStub
from wecom_broker.v1.mini_program_service_pb2_grpc import MiniProgramServiceStub
from wecom_broker.v1.suite_service_pb2_grpc import SuiteServiceStub
from wecom_broker.v1.token_service_pb2_grpc import TokenServiceStub
from wecom_broker.v1.wecom_api_service_pb2_grpc import WecomApiServiceStub

if TYPE_CHECKING:
    import grpc.aio


class Stubs:
    """One stub for each service of the broker."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """Create the stubs of a channel."""
        self.app_shares = AppShareServiceStub(channel)
        self.callbacks = CallbackServiceStub(channel)
        self.events = EventServiceStub(channel)
        self.identity = IdentityServiceStub(channel)
        self.js_sdk = JsSdkServiceStub(channel)
        self.mini_programs = MiniProgramServiceStub(channel)
        self.suites = SuiteServiceStub(channel)
        self.tokens = TokenServiceStub(channel)
        self.wecom_api = WecomApiServiceStub(channel)
