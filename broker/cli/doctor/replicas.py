"""What the doctor looks at in replicas: silence, obstacles, clocks, configuration, keys and certificates."""

from collections.abc import Iterator
from datetime import UTC, timedelta

from wecom_broker.v1 import admin_service_pb2 as pb

from broker.app.checkup.finding import Finding, Level
from broker.cli.doctor.facts import Facts
from broker.cli.operating.plain import ago, span_since

SOON = timedelta(days=14)
"""How long before its end a certificate is told of."""


def replicas(facts: Facts) -> Iterator[Finding]:
    """Yield which replicas serve, and why the others do not."""
    for replica in facts.replicas:
        subject = f"replica {replica.name}"
        if replica.silent:
            silence = f"no word for {span_since(replica.report_time, facts.now)}"
            yield Finding(Level.FAIL, subject, silence, "look at its supervisor and its last log lines")
        elif replica.unreadable:
            problem = f"seals with a key that {facts.status.replica} does not have"
            yield Finding(
                Level.FAIL, subject, problem, "give all replicas the same store.seal_keys, then reload"
            )
        elif replica.obstacle:
            yield Finding(Level.FAIL, subject, replica.obstacle, "see the other lines")
        else:
            yield Finding(Level.OK, subject, f"serving, {replica.credential_count} credentials in memory")
    versions = {replica.version for replica in facts.replicas if replica.version}
    if len(versions) > 1:
        side_by_side = f"{', '.join(sorted(versions))} run side by side"
        yield Finding(Level.WARN, "versions", side_by_side, "finish the upgrade, or the rollback")


def dependencies(facts: Facts) -> Iterator[Finding]:
    """Yield whether the store and WeCom answer."""
    status = facts.status
    for found in status.dependencies:
        if found.healthy:
            yield Finding(Level.OK, found.name, f"answers since {ago(found.since_time, facts.now)}")
            continue
        problem = f"{found.last_error or 'no answer'}, since {ago(found.since_time, facts.now)}"
        if found.name == "store":
            held = f"; {status.replica} holds {status.credential_count} credentials in memory"
            remedy = (
                found.remedy
                or "bring the store back, and do NOT restart brokers: they would lose what they hold"
            )
            yield Finding(Level.FAIL, found.name, problem + held, remedy)
        else:
            remedy = (
                found.remedy
                or "look at DNS, proxy and firewall between the broker and WeCom; else it heals by itself"
            )
            yield Finding(Level.FAIL, found.name, problem, remedy)
    for replica in facts.replicas:
        if replica.version and not (replica.current or replica.silent or replica.wecom_healthy):
            yield Finding(Level.WARN, f"wecom from {replica.name}", replica.wecom_error or "no answer")


def clocks(facts: Facts) -> Iterator[Finding]:
    """Yield which clocks are wrong."""
    found = {replica.name: replica.clock_problem for replica in facts.replicas if replica.clock_problem}
    if facts.status.clock.problem:
        found[facts.status.replica] = facts.status.clock.problem
    for name, problem in found.items():
        yield Finding(Level.WARN, f"clock {name}", problem, "set the clock that is wrong, by NTP")
    if not found:
        yield Finding(Level.OK, "clock", "no clock is wrong")


def configuration(facts: Facts) -> Iterator[Finding]:
    """Yield what became of the configuration."""
    config = facts.status.config
    if config.problems:
        problem = f"the last reload was refused: {'; '.join(config.problems)}"
        yield Finding(
            Level.FAIL, "config", problem, "correct it (wecom-broker check-config), then send SIGHUP"
        )
    elif config.restart_needed:
        waiting = f"changed, and not in force: {', '.join(config.restart_needed)}"
        yield Finding(Level.WARN, "config", waiting, "restart the replicas one after the other")
    else:
        yield Finding(Level.OK, "config", f"read {ago(config.load_time, facts.now)}")


def seal_keys(facts: Facts) -> Iterator[Finding]:
    """Yield which seal keys are missing, and where."""
    by_replica = {facts.status.replica: list(facts.status.seal_keys)}
    by_replica.update({each.name: list(each.seal_keys) for each in facts.replicas if each.seal_keys})
    sealing = {key.id for keys in by_replica.values() for key in keys if key.seals}
    whole = True
    for name, keys in by_replica.items():
        missed = {key.id: f"{key.id} ({key.count} records met)" for key in keys if not key.configured}
        lacking = {id_: id_ for id_ in sealing - {key.id for key in keys}}
        if absent := {**lacking, **missed}:
            whole = False
            problem = f"{name} lacks {', '.join(absent.values())}"
            yield Finding(
                Level.FAIL, "seal keys", problem, "add the key to store.seal_keys there, then reload"
            )
    if whole:
        shown = [
            f"{key.id} {'seals' if key.seals else f'opened {key.count}'}" for key in facts.status.seal_keys
        ]
        yield Finding(Level.OK, "seal keys", ", ".join(shown) or "none")


def certificates(facts: Facts) -> Iterator[Finding]:
    """Yield which certificates ended, or soon will."""
    by_replica = {facts.status.replica: list(facts.status.certificates)}
    by_replica.update({each.name: list(each.certificates) for each in facts.replicas if each.certificates})
    for name, found in by_replica.items():
        for certificate in found:
            yield _certificate(facts, name, certificate)


def _certificate(facts: Facts, name: str, found: pb.Certificate) -> Finding:
    subject, end = f"tls {name}", found.end_time.ToDatetime(UTC)
    left = end - facts.now
    problem = f"{found.file} {'ended' if left <= timedelta(0) else 'ends'} {ago(found.end_time, facts.now)}"
    if left > SOON:
        return Finding(Level.OK, subject, problem)
    level = Level.FAIL if left <= timedelta(0) else Level.WARN
    return Finding(level, subject, problem, "put a new one in its place: the broker reads it at SIGHUP")
