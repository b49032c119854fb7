"""The client for threads.

One background thread drives `wecom_broker.Broker`. A token that is in memory is read right there by the
calling thread; only what needs the broker goes through the background thread.
"""

from __future__ import annotations

import threading
import time
import warnings
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from wecom_broker import _broker
from wecom_broker._services.identity import OauthScope
from wecom_broker._services.wecom_api import TRANSFER_TIMEOUT
from wecom_broker._threads.background import Background
from wecom_broker._threads.events import Callbacks, Events, EventStream
from wecom_broker.errors import BrokerClosed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from wecom_broker._connection.channel import Tls
    from wecom_broker._services.app_shares import AppShare, AppShareChange, AppShareSync
    from wecom_broker._services.identity import AuthorizeUrl, User, UserProfile
    from wecom_broker._services.js_sdk import (
        AgentConfigSignature,
        ConfigSignature,
        PageSignature,
        ReportOutcome,
    )
    from wecom_broker._services.media import Content, MediaHead, MediaUpload
    from wecom_broker._services.mini_programs import Session
    from wecom_broker._services.wecom_api import ApiAnswer, HttpMethod
    from wecom_broker._target import AccessToken, ShareKind

__all__ = ["Broker", "EventStream", "MediaDownload"]


class MediaDownload:
    """A file on its way: its head, and its pieces, once."""

    def __init__(self, head: MediaHead, pieces: Iterator[bytes]) -> None:
        """Know the head; the pieces come when they are asked for."""
        self.head = head
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        """Yield the pieces as they come. Raises BrokerError."""
        return self._pieces

    def read(self) -> bytes:
        """Return all that is left. Raises BrokerError."""
        return b"".join(self._pieces)


class Broker(Events, Callbacks):
    """A client of the broker for threads. It should live as long as your application does.

        with Broker("dns:///wecom-broker:50051") as broker:
            token = broker.access_token("crm", corp="ww…")

    All threads share one. The arguments and methods are those of `wecom_broker.Broker`. gRPC does not survive
    a fork: make it after forking.
    """

    _thread: threading.Thread | None = None

    def __init__(
        self,
        target: str,
        *,
        token: str | Callable[[], str] | None = None,
        tls: Tls | None = None,
        timeout: timedelta = timedelta(seconds=10),
        idle_after: timedelta = timedelta(hours=1),
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Name the broker, and start the background thread."""
        self._broker = _broker.Broker(
            target,
            token=token,
            tls=tls,
            timeout=timeout,
            idle_after=idle_after,
            clock=clock,
        )
        self._background = Background(self._broker)
        self._thread = threading.Thread(target=self._background.run, name="wecom_broker", daemon=True)
        self._thread.start()
        self._background.started.wait()

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the client."""
        self.close()

    def __del__(self) -> None:
        """Complain about a forgotten close."""
        if self._thread is not None and not self._background.closing:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)

    def __repr__(self) -> str:
        """Show the target, and no secret."""
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
        min_ttl: timedelta | None = None,
    ) -> AccessToken:
        """Return a token that is valid now; from memory, but for the first call for a target.

        Raises BrokerError.
        """
        held = self._broker.held_token(app, corp, share_kind=share_kind, agent_id=agent_id, min_ttl=min_ttl)
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
        min_ttl: timedelta | None = None,
    ) -> AccessToken | None:
        """Return the token in memory if it is valid, else None."""
        return self._broker.held_token(app, corp, share_kind=share_kind, agent_id=agent_id, min_ttl=min_ttl)

    def rejected(self, token: AccessToken, errcode: int) -> AccessToken:
        """Tell that WeCom refused the token, and return the one to use from now on. Raises BrokerError."""
        return self._background.result(self._broker.rejected(token, errcode))

    def watch_access_token(
        self,
        app: str,
        corp: str = "",
        *,
        share_kind: ShareKind | str | None = None,
        agent_id: int = 0,
    ) -> Iterator[AccessToken]:
        """Yield the present token, then each rotation, over restarts of the broker. Raises BrokerError."""
        return self._background.iterate(
            self._broker.watch_access_token(app, corp, share_kind=share_kind, agent_id=agent_id),
        )

    def app_shares(self, app: str, share_kind: ShareKind | str | None = None) -> Iterator[AppShare]:
        """Yield the shares of an app that the broker knows, page by page. Raises BrokerError."""
        return self._background.iterate(self._broker.app_shares(app, share_kind))

    def sync_app_shares(self, app: str) -> AppShareSync:
        """Have the broker list the shares of an app at WeCom anew. Raises BrokerError."""
        return self._background.result(self._broker.sync_app_shares(app))

    def watch_app_shares(self, app: str) -> Iterator[AppShareChange]:
        """Yield the present shares of an app, then each change. Raises BrokerError."""
        return self._background.iterate(self._broker.watch_app_shares(app))

    def sign_page(
        self,
        app: str,
        url: str,
        corp: str = "",
        *,
        share_kind: ShareKind | str | None = None,
        agent_id: int = 0,
    ) -> PageSignature:
        """Sign a page for `wx.config` and `wx.agentConfig`. Raises BrokerError."""
        return self._background.result(
            self._broker.sign_page(app, url, corp, share_kind=share_kind, agent_id=agent_id),
        )

    def sign_config(
        self,
        app: str,
        url: str,
        corp: str = "",
        *,
        share_kind: ShareKind | str | None = None,
        agent_id: int = 0,
    ) -> ConfigSignature:
        """Sign a page for `wx.config` alone. Raises BrokerError."""
        return self._background.result(
            self._broker.sign_config(app, url, corp, share_kind=share_kind, agent_id=agent_id),
        )

    def sign_agent_config(
        self,
        app: str,
        url: str,
        corp: str = "",
        *,
        share_kind: ShareKind | str | None = None,
        agent_id: int = 0,
    ) -> AgentConfigSignature:
        """Sign a page for `wx.agentConfig` alone. Raises BrokerError."""
        return self._background.result(
            self._broker.sign_agent_config(app, url, corp, share_kind=share_kind, agent_id=agent_id),
        )

    def ticket_rejected(
        self,
        signature: ConfigSignature | AgentConfigSignature,
        errcode: int,
    ) -> ReportOutcome | None:
        """Tell that WeCom refused the signature's ticket; sign the page again then. Raises BrokerError."""
        return self._background.result(self._broker.ticket_rejected(signature, errcode))

    def authorize_url(
        self,
        app: str,
        redirect_uri: str,
        *,
        scope: OauthScope | str = OauthScope.BASE,
        state: str = "",
    ) -> AuthorizeUrl:
        """Return the link that sends a visitor to WeCom and back with a code. Raises BrokerError."""
        return self._background.result(
            self._broker.authorize_url(app, redirect_uri, scope=scope, state=state),
        )

    def user_from_code(self, app: str, code: str) -> User:
        """Return who came back with the code, which is sent once. Raises CodeRejected, BrokerError."""
        return self._background.result(self._broker.user_from_code(app, code))

    def user_profile(self, app: str, user_ticket: str) -> UserProfile:
        """Return what the user of a `user_ticket` agreed to show. Raises BrokerError."""
        return self._background.result(self._broker.user_profile(app, user_ticket))

    def mini_program_login(
        self,
        app: str,
        js_code: str,
        *,
        share_kind: ShareKind | str | None = None,
    ) -> Session:
        """Exchange a login code, which is sent once, for the session. Raises CodeRejected, BrokerError."""
        return self._background.result(self._broker.mini_program_login(app, js_code, share_kind=share_kind))

    def convert_session(
        self,
        app: str,
        corp: str,
        *,
        user_id: str,
        session_key: str,
        share_kind: ShareKind | str | None = None,
        agent_id: int = 0,
    ) -> Session:
        """Turn the parent's session, whose key the caller holds, into the child's. Raises BrokerError."""
        return self._background.result(
            self._broker.convert_session(
                app,
                corp,
                user_id=user_id,
                session_key=session_key,
                share_kind=share_kind,
                agent_id=agent_id,
            ),
        )

    def decrypt_data(self, session: Session | str, encrypted_data: str, iv: str) -> bytes:
        """Decrypt what the mini-program sent. Raises SessionNotFound, DataRejected, BrokerError."""
        return self._background.result(self._broker.decrypt_data(session, encrypted_data, iv))

    def verify_signature(self, session: Session | str, raw_data: str, signature: str) -> bool:
        """Tell whether the session's key signed `raw_data`. Raises SessionNotFound, BrokerError."""
        return self._background.result(self._broker.verify_signature(session, raw_data, signature))

    def session_key(self, session: Session | str) -> str:
        """Return the session_key itself. Raises SessionNotFound, CallerNotAllowed, BrokerError."""
        return self._background.result(self._broker.session_key(session))

    def delete_session(self, session: Session | str) -> None:
        """Have the broker forget the session. Raises SessionNotFound, BrokerError."""
        self._background.result(self._broker.delete_session(session))

    def call(
        self,
        app: str,
        path: str,
        *,
        corp: str = "",
        method: HttpMethod | str | None = None,
        query: Mapping[str, str | int] | None = None,
        body: Mapping[str, object] | bytes | None = None,
        share_kind: ShareKind | str | None = None,
        agent_id: int = 0,
        timeout: timedelta | None = None,
    ) -> ApiAnswer:
        """Call a path like `/cgi-bin/user/get` in the name of `corp`. Raises BrokerError."""
        return self._background.result(
            self._broker.call(
                app,
                path,
                corp=corp,
                method=method,
                query=query,
                body=body,
                share_kind=share_kind,
                agent_id=agent_id,
                timeout=timeout,
            ),
        )

    def upload_media(
        self,
        app: str,
        kind: str,
        file_name: str,
        content: Content,
        corp: str = "",
        *,
        content_type: str = "",
        share_kind: ShareKind | str | None = None,
        agent_id: int = 0,
        timeout: timedelta = TRANSFER_TIMEOUT,
    ) -> MediaUpload:
        """Send a file to WeCom, piece by piece; an iterable is read in another thread.

        Raises BrokerError, and what the content raises.
        """
        return self._background.result(
            self._broker.upload_media(
                app,
                kind,
                file_name,
                content,
                corp,
                content_type=content_type,
                share_kind=share_kind,
                agent_id=agent_id,
                timeout=timeout,
            ),
        )

    @contextmanager
    def download_media(
        self,
        app: str,
        media_id: str,
        corp: str = "",
        *,
        share_kind: ShareKind | str | None = None,
        agent_id: int = 0,
        timeout: timedelta = TRANSFER_TIMEOUT,
    ) -> Iterator[MediaDownload]:
        """Open a file at WeCom; what is entered tells its head, and yields its pieces. Raises BrokerError."""
        opening = self._broker.download_media(
            app,
            media_id,
            corp,
            share_kind=share_kind,
            agent_id=agent_id,
            timeout=timeout,
        )
        download = self._background.result(opening.__aenter__())
        try:
            yield MediaDownload(download.head, self._background.iterate(download.pieces))
        finally:
            with suppress(BrokerClosed):
                self._background.result(opening.__aexit__(None, None, None))
