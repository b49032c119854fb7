"""The responses of `JsSdkService`."""

from wecom_broker.v1 import js_sdk_service_pb2 as pb

from broker.usecases.signing import Signature


def page(config: Signature, agent: Signature) -> pb.SignPageResponse:
    """Return the response with both signatures."""
    return pb.SignPageResponse(config=_config(config), agent_config=_agent_config(agent))


def config(signature: Signature) -> pb.SignConfigResponse:
    """Return the response with the signature for wx.config."""
    return pb.SignConfigResponse(config=_config(signature))


def agent_config(signature: Signature) -> pb.SignAgentConfigResponse:
    """Return the response with the signature for wx.agentConfig."""
    return pb.SignAgentConfigResponse(agent_config=_agent_config(signature))


def _config(signature: Signature) -> pb.ConfigSignature:
    return pb.ConfigSignature(
        corp_id=signature.corp_id,
        timestamp=signature.timestamp,
        nonce_str=signature.nonce,
        signature=signature.signature,
        generation=signature.generation,
    )


def _agent_config(signature: Signature) -> pb.AgentConfigSignature:
    return pb.AgentConfigSignature(
        corp_id=signature.corp_id,
        agent_id=signature.agent_id,
        timestamp=signature.timestamp,
        nonce_str=signature.nonce,
        signature=signature.signature,
        generation=signature.generation,
    )
