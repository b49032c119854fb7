"""What the diagnosis looks at in replicas: silence, obstacles, clocks, configuration, keys, certificates."""

from collections.abc import Iterator
from datetime import UTC, timedelta

from wecom_broker.v1 import admin_service_pb2 as pb

from broker.server.diagnosis.finding import Facts, Finding, Level
from broker.usecases.replicas.cures import CURES

SOON = timedelta(days=14)
"""How long before its end a certificate is told of."""


def replicas(facts: Facts) -> Iterator[Finding]:
    """Yield which replicas serve, and why the others do not."""
    words = facts.words
    for replica in facts.replicas:
        subject = words.say("replica {name}", name=replica.name)
        if replica.silent:
            cure = words.say("look at its supervisor and its last log lines")
            yield Finding(Level.FAIL, subject, _silence(replica, facts), cure)
        elif replica.unreadable:
            problem = words.say("seals with a key that {name} does not have", name=facts.status.replica)
            cure = words.say("give all replicas the same store.seal_keys, then reload")
            yield Finding(Level.FAIL, subject, problem, cure)
        elif replica.obstacle:
            yield Finding(Level.FAIL, subject, replica.obstacle, words.say("see the other lines"))
        else:
            serving = words.say("serving, {count} credential(s) in memory", count=replica.credential_count)
            yield Finding(Level.OK, subject, serving)
    versions = {replica.version for replica in facts.replicas if replica.version}
    if len(versions) > 1:
        side_by_side = words.say("{versions} run side by side", versions=", ".join(sorted(versions)))
        cure = words.say("finish the upgrade, or the rollback")
        yield Finding(Level.WARN, words.say("versions"), side_by_side, cure)


def _silence(replica: pb.ReplicaInfo, facts: Facts) -> str:
    at, words = replica.report_time, facts.words
    if at.ToDatetime(UTC) > facts.now:
        return words.say("its last report is dated {ahead}", ahead=words.ago(at, facts.now))
    return words.say("no word for {span}", span=words.span_since(at, facts.now))


def dependencies(facts: Facts) -> Iterator[Finding]:
    """Yield whether the store and WeCom answer."""
    status, words = facts.status, facts.words
    no_answer = words.say("no answer")
    for found in status.dependencies:
        span = words.span_since(found.since_time, facts.now)
        if found.healthy:
            yield Finding(Level.OK, found.name, words.say("has answered for {span}", span=span))
            continue
        problem = words.say("{error}, for {span}", error=found.last_error or no_answer, span=span)
        if found.name == "store":
            problem += words.say(
                "; {name} holds {count} credential(s) in memory",
                name=status.replica,
                count=status.credential_count,
            )
        # A broker of an earlier version says no remedy.
        cure = found.remedy or CURES[found.name](found.last_error)
        yield Finding(Level.FAIL, found.name, problem, words.translated(cure))
    for replica in facts.replicas:
        if replica.version and not (replica.current or replica.silent or replica.wecom_healthy):
            subject = words.say("wecom from {name}", name=replica.name)
            yield Finding(Level.WARN, subject, replica.wecom_error or no_answer)


def clocks(facts: Facts) -> Iterator[Finding]:
    """Yield which clocks are wrong."""
    words = facts.words
    found = {replica.name: replica.clock_problem for replica in facts.replicas if replica.clock_problem}
    if facts.status.clock.problem:
        found[facts.status.replica] = facts.status.clock.problem
    for name, problem in found.items():
        cure = words.say("set the clock that is wrong, by NTP")
        yield Finding(Level.WARN, words.say("clock {name}", name=name), problem, cure)
    if not found:
        yield Finding(Level.OK, words.say("clock"), words.say("no clock is wrong"))


def configuration(facts: Facts) -> Iterator[Finding]:
    """Yield what became of the configuration."""
    config, words = facts.status.config, facts.words
    subject = words.say("config")
    if config.problems:
        problem = words.say("the last reload was refused: {problems}", problems="; ".join(config.problems))
        cure = words.say("correct it (wecom-broker check-config), then send SIGHUP")
        yield Finding(Level.FAIL, subject, problem, cure)
    elif config.restart_needed:
        waiting = words.say("changed, and not in force: {keys}", keys=", ".join(config.restart_needed))
        yield Finding(Level.WARN, subject, waiting, words.say("restart the replicas one after the other"))
    else:
        read = words.say("read {ago}", ago=words.ago(config.load_time, facts.now))
        yield Finding(Level.OK, subject, read)


def seal_keys(facts: Facts) -> Iterator[Finding]:
    """Yield which seal keys are missing, and where."""
    words = facts.words
    subject = words.say("seal keys")
    by_replica = {facts.status.replica: list(facts.status.seal_keys)}
    by_replica.update({each.name: list(each.seal_keys) for each in facts.replicas if each.seal_keys})
    sealing = {key.id for keys in by_replica.values() for key in keys if key.seals}
    whole = True
    for name, keys in by_replica.items():
        missed = {
            key.id: words.say("{key} ({count} records met)", key=key.id, count=key.count)
            for key in keys
            if not key.configured
        }
        lacking = {id_: id_ for id_ in sealing - {key.id for key in keys}}
        if absent := {**lacking, **missed}:
            whole = False
            problem = words.say("{name} lacks {keys}", name=name, keys=", ".join(absent.values()))
            cure = words.say("add the key to store.seal_keys there, then reload")
            yield Finding(Level.FAIL, subject, problem, cure)
    if whole:
        shown = [
            words.say("{key} seals", key=key.id)
            if key.seals
            else words.say("{key} opened {count}", key=key.id, count=key.count)
            for key in facts.status.seal_keys
        ]
        yield Finding(Level.OK, subject, words.joined(*shown) or words.say("none"))


def certificates(facts: Facts) -> Iterator[Finding]:
    """Yield which certificates ended, or soon will."""
    by_replica = {facts.status.replica: list(facts.status.certificates)}
    by_replica.update({each.name: list(each.certificates) for each in facts.replicas if each.certificates})
    for name, found in by_replica.items():
        for certificate in found:
            yield _certificate(facts, name, certificate)


def _certificate(facts: Facts, name: str, found: pb.Certificate) -> Finding:
    words = facts.words
    subject, end = f"tls {name}", found.end_time.ToDatetime(UTC)
    left = end - facts.now
    gaps = {"file": found.file, "ago": words.ago(found.end_time, facts.now)}
    problem = (
        words.say("{file} ended {ago}", **gaps)
        if left <= timedelta(0)
        else words.say("{file} ends {ago}", **gaps)
    )
    if left > SOON:
        return Finding(Level.OK, subject, problem)
    level = Level.FAIL if left <= timedelta(0) else Level.WARN
    cure = words.say("put a new one in its place: the broker reads it at SIGHUP")
    return Finding(level, subject, problem, cure)
