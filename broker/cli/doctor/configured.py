"""What a configuration file leads to, as findings; no broker is asked."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from wecom_broker.v1 import admin_service_pb2 as pb

from broker.app.checkup.configuration import mistakes
from broker.app.checkup.examination import Wishes
from broker.app.checkup.examination import examine as examine_all
from broker.cli.configuration import load_hidden
from broker.config.load import ConfigError
from broker.server.diagnosis import apps, replicas
from broker.server.diagnosis.finding import Facts, Finding
from broker.server.grpc import admin_messages
from broker.telemetry.logging import set_up_logging


async def examine_configuration(path: Path, wishes: Wishes) -> Sequence[Finding]:
    """Return everything that was looked at."""
    set_up_logging("critical", "console")
    try:
        config = load_hidden(path, insecure=True)
    except ConfigError as error:
        return list(mistakes(error.problems))
    done = await examine_all(config, wishes)
    status = pb.GetStatusResponse(
        replica="of this file",
        suites=map(admin_messages.suite_status, done.suites),
        certificates=admin_messages.certificates(done.certificates),
    )
    facts = Facts(datetime.now(UTC), status)
    return [*done.findings, *apps.suites(facts), *replicas.certificates(facts)]
