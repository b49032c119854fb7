"""A `wecom-broker` with a leak, which the first argument names: tests of secrecy must find it."""

import base64
import sys

import structlog
from google.rpc.status_pb2 import Status
from wecom_broker.v1.token_service_pb2 import AccessToken

from broker.adapters.storage.seal import Seal
from broker.cli import main
from broker.domain.credentials import Credential
from broker.domain.errors import BrokerError
from broker.domain.secret import Secret
from broker.server.grpc import errors, messages
from broker.telemetry.logging import LOGGER
from broker.telemetry.metrics import Metrics

_message_of = messages.access_token
_status_of = errors.status_of
_closed = Seal.close
_metrics: list[Metrics] = []
_tokens: list[str] = []


def _leaking(credential: Credential) -> AccessToken:
    """Hand out a token, and let it out somewhere else too."""
    value = credential.value.reveal()
    _tokens.append(value)
    log = structlog.get_logger(LOGGER)
    if leak == "log":
        log.debug("a token", value=value)
    elif leak == "log in base64":
        log.debug("a token", header=base64.b64encode(f"Bearer {value}".encode()).decode())
    elif leak == "traceback":
        try:
            raise ValueError(f"odd token {value}")
        except ValueError:
            log.exception("unexpected")
    elif leak == "metrics":
        _metrics[-1].upstream_calls.labels("/cgi-bin/gettoken", value).inc()
    return _message_of(credential)


def _remembering(metrics: Metrics) -> None:
    _metrics.append(metrics)
    _made(metrics)


_made = Metrics.__init__
leak = sys.argv.pop(1)
messages.access_token = _leaking
Metrics.__init__ = _remembering
if leak == "audit":
    Secret.fingerprint = Secret.reveal
if leak == "store":
    Seal.close = lambda seal, name, payload: _closed(seal, name, payload) + payload
if leak == "errors":

    def _telling(error: BrokerError) -> Status:
        error.metadata["token"] = _tokens[-1]
        return _status_of(error)

    errors.status_of = _telling

main()
