"""Ask a broker on this machine for its health by gRPC (grpc.health.v1); exit 0 only if it is SERVING.

WECOM_BROKER_HEALTH_ADDRESS  the address, without TLS; default 127.0.0.1:50051. A broker with TLS has a
                             socket file too: unix:///run/wecom-broker/broker.sock
WECOM_BROKER_HEALTH_SERVICE  one service instead of the whole broker, e.g. wecom_broker.v1.TokenService
"""

import os
import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

TIMEOUT_SECONDS = 3.0


def main() -> int:
    """Print the health, or why it is unknown, and return the exit code."""
    address = os.environ.get("WECOM_BROKER_HEALTH_ADDRESS", "127.0.0.1:50051")
    request = health_pb2.HealthCheckRequest(service=os.environ.get("WECOM_BROKER_HEALTH_SERVICE", ""))
    # A proxy for outside addresses must not be used for this machine.
    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=TIMEOUT_SECONDS)
        except grpc.RpcError as error:
            print(f"{address}: {error.code().name}: {error.details()}")
            return 1
    print(f"{address}: {health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)}")
    return 0 if answer.status == health_pb2.HealthCheckResponse.SERVING else 1


if __name__ == "__main__":
    sys.exit(main())
