"""The client for threads.

One background thread drives `wecom_broker.Broker`. The calling thread itself reads a token that is in
memory; only calls of the broker go through the background thread.
"""

from __future__ import annotations

import threading
import warnings
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from wecom_broker._broker import Broker as AsyncBroker
from wecom_broker._connection.process import Process
from wecom_broker._services.wecom_api import TRANSFER_TIMEOUT
from wecom_broker._threads.background import Background
from wecom_broker._threads.blocking import blocking, iterating
from wecom_broker._threads.event_stream import EventStream
from wecom_broker._threads.media import MediaDownload
from wecom_broker._tokens.lifetimes import steady

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    import grpc.aio

    from wecom_broker._connection.tls import Tls
    from wecom_broker._spans import Span
    from wecom_broker._target import ShareKind
    from wecom_broker._tokens.access_token import AccessToken

__all__ = ["Broker", "EventStream", "MediaDownload"]


class Broker:
    """A client of the broker for threads. It should live as long as your application does.

        with Broker("dns:///wecom-broker:50051") as broker:
            token = broker.access_token("crm", corp="ww…")

    All threads share one. The arguments and methods are those of `wecom_broker.Broker`, without `await`. gRPC
    does not survive a fork: create it in the child process, or it raises MadeBeforeFork there.
    """

    _thread: threading.Thread | None = None

    def __init__(
        self,
        target: str,
        *,
        token: str | Callable[[], str] | None = None,
        tls: Tls | None = None,
        timeout: Span = timedelta(seconds=10),
        idle_after: Span = timedelta(hours=1),
        trust_env: bool = False,
        allow_plaintext_token: bool = False,
        tracing: bool = False,
        clock: Callable[[], float] = steady,
    ) -> None:
        """Name the broker, and start the background thread."""
        self._broker = AsyncBroker(
            target,
            token=token,
            tls=tls,
            timeout=timeout,
            idle_after=idle_after,
            trust_env=trust_env,
            allow_plaintext_token=allow_plaintext_token,
            tracing=tracing,
            clock=clock,
        )
        self._valid = self._broker._memory.valid  # noqa: SLF001  a step less for each warm read
        self._process = Process.current
        self._background = Background(self._broker)
        self._thread = threading.Thread(target=self._background.run, name="wecom_broker", daemon=True)
        self._thread.start()
        self._background.await_start()

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the client."""
        self.close()

    def __del__(self) -> None:
        """Warn if the client was not closed."""
        if self._thread is not None and self._background.needs_closing:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)

    def __repr__(self) -> str:
        """Show the target, but no secret."""
        return f"<sync {self._broker!r}>"

    def close(self) -> None:
        """Close the connection and end the thread; calls under way raise BrokerClosed. May be repeated."""
        self._background.stop()
        if self._thread is not None:
            self._thread.join()

    def access_token(
        self,
        app: str,
        corp: str = "",
        *,
        share_kind: ShareKind | str | None = None,
        agent_id: int = 0,
        min_ttl: Span | None = None,
    ) -> AccessToken:
        """Return a token that is valid now, from memory except for the first call for a target.

        Raises BrokerError.
        """
        # In a child process the call below says what is wrong.
        if self._process is Process.current:
            held = self._valid((app, corp, share_kind, agent_id), min_ttl)
            if held is not None:
                return held
        return self._background.result(
            self._broker.access_token(app, corp, share_kind=share_kind, agent_id=agent_id, min_ttl=min_ttl),
        )

    def held_token(
        self,
        app: str,
        corp: str = "",
        *,
        share_kind: ShareKind | str | None = None,
        agent_id: int = 0,
        min_ttl: Span | None = None,
    ) -> AccessToken | None:
        """Return the token in memory if it is valid, else None. Raises MadeBeforeFork."""
        return self._broker.held_token(app, corp, share_kind=share_kind, agent_id=agent_id, min_ttl=min_ttl)

    rejected = blocking(AsyncBroker.rejected)
    watch_access_token = iterating(AsyncBroker.watch_access_token)

    app_shares = iterating(AsyncBroker.app_shares)
    sync_app_shares = blocking(AsyncBroker.sync_app_shares)
    watch_app_shares = iterating(AsyncBroker.watch_app_shares)

    sign_page = blocking(AsyncBroker.sign_page)
    sign_config = blocking(AsyncBroker.sign_config)
    sign_agent_config = blocking(AsyncBroker.sign_agent_config)
    ticket_rejected = blocking(AsyncBroker.ticket_rejected)

    authorize_url = blocking(AsyncBroker.authorize_url)
    user_from_code = blocking(AsyncBroker.user_from_code)
    user_profile = blocking(AsyncBroker.user_profile)

    mini_program_login = blocking(AsyncBroker.mini_program_login)
    convert_session = blocking(AsyncBroker.convert_session)
    decrypt_data = blocking(AsyncBroker.decrypt_data)
    verify_signature = blocking(AsyncBroker.verify_signature)
    session_key = blocking(AsyncBroker.session_key)
    delete_session = blocking(AsyncBroker.delete_session)

    install_url = blocking(AsyncBroker.install_url)
    complete_installation = blocking(AsyncBroker.complete_installation)
    authorizations = iterating(AsyncBroker.authorizations)
    authorization = blocking(AsyncBroker.authorization)
    refresh_authorization = blocking(AsyncBroker.refresh_authorization)
    watch_authorizations = iterating(AsyncBroker.watch_authorizations)

    call = blocking(AsyncBroker.call)
    upload_media = blocking(AsyncBroker.upload_media)

    @contextmanager
    def download_media(
        self,
        app: str,
        media_id: str,
        corp: str = "",
        *,
        share_kind: ShareKind | str | None = None,
        agent_id: int = 0,
        timeout: Span = TRANSFER_TIMEOUT,
        corp_id: None = None,
    ) -> Iterator[MediaDownload]:
        """Download a file from WeCom, for `with`: its head, then its pieces as they arrive.

        Leaving the block ends the transfer. Raises BrokerError, also in the middle of a file.
        """
        opening = self._broker.download_media(
            app,
            media_id,
            corp,
            share_kind=share_kind,
            agent_id=agent_id,
            timeout=timeout,
            corp_id=corp_id,
        )
        download = self._background.result(opening.__aenter__())
        try:
            yield MediaDownload(download.head, self._background.iterate(download.pieces))
        finally:
            self._background.end(opening.__aexit__(None, None, None))

    def events(
        self,
        group: str,
        *,
        apps: Iterable[str] = (),
        event_types: Iterable[str] = (),
        replay_from: datetime | str | None = None,
        max_in_flight: int | None = None,
        ack_timeout: Span | None = None,
    ) -> EventStream:
        """Return the events that this member of the group gets; each goes to one member, at least once."""
        stream = self._broker.events(
            group,
            apps=apps,
            event_types=event_types,
            replay_from=replay_from,
            max_in_flight=max_in_flight,
            ack_timeout=ack_timeout,
        )
        return EventStream(self._background, stream.subscribe)

    ask = blocking(AsyncBroker.ask)

    @property
    def channel(self) -> grpc.aio.Channel:
        """The channel, for the stubs in `wecom_broker.v1` whose methods `ask` calls. Raises BrokerError."""
        return self._background.result(self._opened_channel())

    async def _opened_channel(self) -> grpc.aio.Channel:
        return self._broker.channel

    acknowledge_events = blocking(AsyncBroker.acknowledge_events)
    dead_events = iterating(AsyncBroker.dead_events)
    retry_dead_events = blocking(AsyncBroker.retry_dead_events)

    verify_url = blocking(AsyncBroker.verify_url)
    open_envelope = blocking(AsyncBroker.open_envelope)
    seal_reply = blocking(AsyncBroker.seal_reply)
