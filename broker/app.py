"""The composition root: the only place that names concrete adapters, and the order of start and stop."""

import asyncio
import base64
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from broker.adapters.redis.client import connect_redis
from broker.adapters.redis.event_log import RedisEventLog
from broker.adapters.redis.store import RedisStore
from broker.adapters.sqlite.event_log import SqliteEventLog
from broker.adapters.sqlite.store import StoreInUse, open_sqlite
from broker.adapters.storage.sealed_event_log import SealedEventLog
from broker.adapters.storage.sealed_store import Seal, SealBroken, SealedStore, SealKey
from broker.adapters.system import SystemChance, SystemClock
from broker.adapters.wecom.addresses import WecomAddressEndpoints
from broker.adapters.wecom.client import connect_wecom
from broker.adapters.wecom.passthrough import WecomGatewayHttp
from broker.adapters.wecom.users import WecomUserEndpoints
from broker.config import mapping
from broker.config.schema import Config
from broker.domain.access import CallerPolicy
from broker.domain.errors import StoreUnavailable
from broker.domain.ports.event_log import EventLog
from broker.domain.ports.observer import Observer
from broker.domain.ports.store import Record, Store
from broker.server.grpc.access import Rights
from broker.server.grpc.audit import Audit
from broker.server.grpc.guard import RpcGuard
from broker.server.grpc.server import TlsFiles, serve_grpc
from broker.server.grpc.services.admin import AdminServicer
from broker.server.grpc.services.app_shares import AppShareServicer
from broker.server.grpc.services.callbacks import CallbackServicer
from broker.server.grpc.services.events import EventServicer
from broker.server.grpc.services.identity import IdentityServicer
from broker.server.grpc.services.js_sdk import JsSdkServicer
from broker.server.grpc.services.mini_program import MiniProgramServicer
from broker.server.grpc.services.registration import Servicers
from broker.server.grpc.services.tokens import TokenServicer
from broker.server.grpc.services.wecom_api import WecomApiServicer
from broker.server.health import Health
from broker.server.http.callbacks import CallbackEndpoint
from broker.server.http.forwarded import Forwarded
from broker.server.http.server import CannotListen, serve_http
from broker.telemetry.observer import Telemetry
from broker.usecases.access_tokens import AccessTokens
from broker.usecases.admin import Admin
from broker.usecases.api_calls import ApiCalls
from broker.usecases.callbacks.decoder import CallbackDecoder
from broker.usecases.callbacks.external import ExternalCallbacks
from broker.usecases.callbacks.inbox import CallbackInbox
from broker.usecases.callbacks.sender_allowlist import SenderAllowlist
from broker.usecases.credentials.cache import CredentialCache
from broker.usecases.credentials.engine import CredentialEngine
from broker.usecases.credentials.follower import MemoryFollower
from broker.usecases.credentials.refresh_ahead import RefreshAhead
from broker.usecases.credentials.source import WecomCredentialSource
from broker.usecases.events.feed import EventFeed
from broker.usecases.events.maintenance import EventMaintenance
from broker.usecases.fleet.background import Background
from broker.usecases.fleet.leased_flight import LeasedFlight
from broker.usecases.fleet.notifications import Notifications
from broker.usecases.identity import Identities
from broker.usecases.limits.error_cache import ErrorCache
from broker.usecases.limits.rate_gate import RateGate
from broker.usecases.limits.ticket_quota import TicketQuota
from broker.usecases.mini_program import MiniProgramLogins
from broker.usecases.shares.app_shares import AppShares
from broker.usecases.shares.relisting import Relisting
from broker.usecases.shares.revocation import ShareRevocation
from broker.usecases.shares.targets import Targets
from broker.usecases.signing import Signing

STORE_PATIENCE_SECONDS = 5.0
"""How long a starting broker waits for its store."""
SEAL_CHECK = "seal-check"


class CannotStart(Exception):
    """The broker cannot start; the message begins with the key of the configuration to look at."""


@dataclass(frozen=True, slots=True)
class RunningBroker:
    """A broker that serves."""

    grpc_addresses: list[str]
    http_port: int
    telemetry: Telemetry
    health: Health
    memory: CredentialCache


@asynccontextmanager
async def running_broker(config: Config) -> AsyncIterator[RunningBroker]:  # noqa: PLR0915 - a list of all there is
    """Serve until left: then not serving → pause → stop with grace → stop refreshers → close.

    Raises `CannotStart`.
    """
    clock, randomness = SystemClock(), SystemChance()
    telemetry = Telemetry(clock)
    apps = mapping.apps(config)
    policy = CallerPolicy(mapping.callers(config))
    refresh = mapping.refresh_policy(config)
    callbacks = mapping.callbacks(config)
    keep = mapping.retention(config)
    async with AsyncExitStack() as stack:
        store, log = await stack.enter_async_context(_store(config, clock, telemetry))
        background = await stack.enter_async_context(Background(telemetry))
        notifications = Notifications(store)
        memory = CredentialCache(refresh)
        fingerprints = {app.name: app.secret.fingerprint() for app in apps.values()}
        error_cache = ErrorCache(store, clock, randomness, fingerprints)
        gate = RateGate(store, error_cache)
        wecom = await stack.enter_async_context(
            connect_wecom(
                config.wecom.api_base,
                timedelta(seconds=config.wecom.timeout_seconds),
                gate,
                clock,
                randomness,
                telemetry,
            )
        )
        users = WecomUserEndpoints(wecom)
        tickets = TicketQuota(store, clock)
        fleet = LeasedFlight(store, notifications, clock, telemetry)
        engine = CredentialEngine(
            store=store,
            source=WecomCredentialSource(apps, wecom, users, tickets),
            memory=memory,
            fleet=fleet,
            error_cache=error_cache,
            clock=clock,
            policy=refresh,
            observer=telemetry,
            tasks=background,
        )
        shares = AppShares(
            apps=apps,
            wecom=wecom,
            store=store,
            engine=engine,
            fleet=fleet,
            error_cache=error_cache,
            revocation=ShareRevocation(store, memory, error_cache),
            clock=clock,
            observer=telemetry,
            cooldown=refresh.cooldown,
            tasks=background,
        )
        renewal = Relisting(
            apps=apps,
            shares=shares,
            clock=clock,
            observer=telemetry,
            sync_every=timedelta(seconds=config.refresh.share_sync_seconds),
            called_back=callbacks,
            tasks=background,
        )
        targets = Targets(apps, shares)
        follower = MemoryFollower(store, memory, clock)
        ahead = RefreshAhead(engine, memory, clock, randomness, refresh, telemetry)
        feed = EventFeed(
            log=log,
            notifications=notifications,
            clock=clock,
            randomness=randomness,
            observer=telemetry,
            tasks=background,
            max_tries=config.events.max_tries,
        )
        opening = CallbackDecoder(callbacks, targets, shares, clock, telemetry)
        inbox = CallbackInbox(
            apps=apps,
            opening=opening,
            senders=SenderAllowlist(engine, WecomAddressEndpoints(wecom), clock, telemetry, background),
            renewal=renewal,
            log=log,
            keep=keep,
        )
        keeping = EventMaintenance(list(callbacks), log, keep, clock, telemetry)
        for hears in (error_cache.on_notice, follower.on_notice, shares.on_notice, renewal.on_notice):
            notifications.subscribe(hears)
        admin = Admin(
            apps=apps,
            targets=targets,
            engine=engine,
            shares=shares,
            tickets=tickets,
            memory=memory,
            gate=gate,
            replica_health=telemetry.replica_health,
            clock=clock,
            policy=refresh,
        )
        health = Health(admin, shares, store, clock, telemetry)
        await health.look()
        background.keep_running("hearing notices", notifications.run)
        background.keep_running("following the store", follower.run)
        background.keep_running("sharing what could not be shared", fleet.republish)
        background.keep_running("following share lists", shares.follow_store)
        background.keep_running("reconciling shares", renewal.reconcile)
        background.keep_running("refreshing ahead", ahead.run)
        background.keep_running("looking after events", keeping.run)
        background.keep_running("watching health", health.run)

        own_corps = {app.name: app.corp_id for app in apps.values()}
        guard = RpcGuard(policy, own_corps, telemetry.metrics)
        sessions = MiniProgramLogins(
            targets=targets,
            shares=shares,
            engine=engine,
            users=users,
            store=store,
            clock=clock,
            randomness=randomness,
            watermarks=mapping.watermarks(config),
        )
        rights, audit = Rights(policy, own_corps), Audit(telemetry)
        servicers = Servicers(
            tokens=TokenServicer(AccessTokens(targets, engine), audit),
            shares=AppShareServicer(targets, shares),
            js_sdk=JsSdkServicer(Signing(targets, engine, clock, randomness)),
            identity=IdentityServicer(
                Identities(targets, engine, users, randomness, config.wecom.oauth_base), rights
            ),
            mini_programs=MiniProgramServicer(sessions, rights, audit),
            events=EventServicer(
                feed,
                targets,
                rights,
                list(callbacks),
                timedelta(seconds=config.events.ack_timeout_seconds),
            ),
            callbacks=CallbackServicer(ExternalCallbacks(opening, targets, shares, renewal, clock), rights),
            wecom_api=WecomApiServicer(ApiCalls(targets, engine, WecomGatewayHttp(wecom)), rights),
            admin=AdminServicer(admin),
        )
        tls = config.server.tls
        share_port = config.server.workers > 1
        try:
            addresses = await stack.enter_async_context(
                serve_grpc(
                    config.server.grpc,
                    guard,
                    servicers,
                    health,
                    tls=TlsFiles(tls.certificate, tls.private_key, tls.client_ca) if tls else None,
                    reflect=config.server.reflection,
                    share_port=share_port,
                    drain_seconds=config.server.drain_seconds,
                )
            )
        except CannotListen as error:
            raise CannotStart(str(error)) from None
        try:
            port = await stack.enter_async_context(
                serve_http(
                    config.server.http,
                    health,
                    telemetry.metrics,
                    CallbackEndpoint(inbox, Forwarded(config.server.trusted_proxies), telemetry),
                    share_port=share_port,
                    drain_seconds=config.server.drain_seconds,
                )
            )
        except CannotListen as error:
            raise CannotStart(f"server.http: {error}") from None
        try:
            yield RunningBroker(addresses, port, telemetry, health, memory)
        finally:
            await health.drain()
            # Load balancers must notice before connections close.
            await asyncio.sleep(min(config.server.drain_seconds / 10, 1.0))
            # Watches would hold the whole grace; their readers re-open them elsewhere.
            memory.close_watches()
            shares.close_watches()
            feed.close()


@asynccontextmanager
async def _store(
    config: Config, clock: SystemClock, observer: Observer
) -> AsyncIterator[tuple[Store, EventLog]]:
    """Open the configured store and its event log, sealed; prove that it answers and our keys open it."""
    async with AsyncExitStack() as stack:
        inner: Store
        log: EventLog
        if config.store.is_embedded:
            try:
                embedded = await stack.enter_async_context(open_sqlite(config.store.path, clock))
            except (StoreInUse, OSError, sqlite3.Error) as error:
                raise CannotStart(f"store.url: {error}") from None
            inner, log = embedded, SqliteEventLog(embedded.link, clock)
        else:
            link = await stack.enter_async_context(connect_redis(config.store.url))
            inner = RedisStore(link, config.store.prefix, clock, observer)
            log = RedisEventLog(link, config.store.prefix)
        await _wait_for(inner, config)
        seal = Seal(_seal_keys(config))
        try:
            await _check_seal(inner, seal)
        except StoreUnavailable as error:
            # It answers, but takes no writes: a replica, a full memory, or a user who may not.
            raise CannotStart(f"store.url: STORE_UNAVAILABLE: {error.message}") from None
        yield SealedStore(inner, seal, observer), SealedEventLog(log, seal, observer)


async def _wait_for(store: Store, config: Config) -> None:
    deadline = asyncio.get_running_loop().time() + STORE_PATIENCE_SECONDS
    while True:
        try:
            await store.ping()
        except StoreUnavailable as error:
            if asyncio.get_running_loop().time() > deadline:
                place = urlsplit(config.store.url)
                raise CannotStart(
                    f"store.url: STORE_UNAVAILABLE: {place.scheme}://{place.hostname}:{place.port or 6379}"
                    f" does not answer: {error.message}"
                ) from None
            await asyncio.sleep(0.25)
        else:
            return


async def _check_seal(store: Store, seal: Seal) -> None:
    """Refuse to start with a key that does not open what is in the store."""
    far = datetime(9999, 1, 1, tzinfo=UTC)
    await store.offer(Record(SEAL_CHECK, 1, seal.close(SEAL_CHECK, b"sealed"), far))
    record = (await store.load([SEAL_CHECK])).get(SEAL_CHECK)
    if record is None:
        return
    try:
        seal.open(SEAL_CHECK, record.payload)
    except SealBroken as error:
        raise CannotStart(f"store.seal_keys: no key opens what is in the store: {error}") from None
    if not seal.is_current(record.payload):
        await store.replace(Record(SEAL_CHECK, record.fence, seal.close(SEAL_CHECK, b"sealed"), far))


def _seal_keys(config: Config) -> list[SealKey]:
    """Return the configured keys; for the embedded store one of its own, made at first start (0600)."""
    if config.store.seal_keys:
        return [SealKey(key.id, key.key_bytes()) for key in config.store.seal_keys]
    path = config.store.path.with_name(config.store.path.name + ".key")
    try:
        if not path.exists():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(base64.b64encode(os.urandom(32)))
        key = base64.b64decode(path.read_bytes(), validate=True)
    except (OSError, ValueError) as error:
        raise CannotStart(f"store.url: the key file {path} cannot be used: {error}") from None
    return [SealKey("embedded", key)]
