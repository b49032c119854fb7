"""Any interface of WeCom, called on behalf of a target; the token is added here and never returned."""

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from broker.domain.apps import Target
from broker.domain.credentials import Credential, CredentialKey, CredentialKind
from broker.domain.errors import AppNotShared, InvalidRequest, TokenRejected, WecomUnavailable
from broker.domain.ports.passthrough import ApiAnswer, ApiCall, MediaHead, WecomPassthrough
from broker.protocol import error_codes
from broker.protocol.api_paths import CODES, CREDENTIALS, is_path, why_closed
from broker.usecases.credentials.engine import PAUSE, CredentialEngine
from broker.usecases.shares.targets import Targets

QUERY_NAME = re.compile(r"[A-Za-z0-9_]{1,64}")
"""WeCom has no other names, and some servers read `access.token` as `access_token`."""
TOKEN_NAMES = CREDENTIALS | {"debug"}
LONGEST_QUERY = 4096
LARGEST_BODY = 1024 * 1024
MEBIBYTE = 1024 * 1024
LARGEST_FILES = {"image": 10, "voice": 2, "video": 10, "file": 20}
"""In MiB, by kind (doc 90253)."""


class ApiCalls:
    """Pass calls through with the right token; a dead token is replaced and the call sent once more."""

    def __init__(self, targets: Targets, engine: CredentialEngine, passthrough: WecomPassthrough) -> None:
        self._targets = targets
        self._engine = engine
        self._passthrough = passthrough

    async def call(self, target: Target, call: ApiCall) -> ApiAnswer:
        """Return WeCom's answer as it came, whatever its errcode. Raises as `AccessTokens.get`."""
        check_call(call)

        async def act(key: CredentialKey) -> ApiAnswer:
            last: list[ApiAnswer] = []

            async def with_token(token: Credential) -> ApiAnswer:
                answer = await self._passthrough.call(token, call)
                last[:] = [answer]
                self._note_unshared(token, answer)
                if answer.errcode in error_codes.CODES[TokenRejected]:
                    raise TokenRejected(
                        "the token of the call is dead", errcode=answer.errcode, endpoint=call.path
                    )
                return answer

            try:
                return await self._engine.using(key, with_token)
            except WecomUnavailable as error:
                # WeCom still refuses: its own answer says more than our error.
                if last and _is_about(error, call, last[0]):
                    return last[0]
                raise

        return await self._targets.reach(target, act)

    def _note_unshared(self, token: Credential, answer: ApiAnswer) -> None:
        if answer.errcode in error_codes.CODES[AppNotShared]:
            self._engine.on_unshared(token.key)

    async def _token_of_corp(self, key: CredentialKey) -> Credential:
        """Return the token of a corp, where files are. Raises `InvalidRequest` for a suite or a provider."""
        return await self._engine.get(key.of_kind(CredentialKind.ACCESS_TOKEN))

    async def upload(
        self, target: Target, kind: str, head: MediaHead, chunks: AsyncIterator[bytes]
    ) -> tuple[ApiAnswer, str]:
        """Send a file piece by piece, once; return the answer and the media_id."""
        if kind not in LARGEST_FILES:
            raise InvalidRequest("type", "must be image, voice, video or file")
        token = await self._targets.reach(target, self._token_of_corp)
        answer, media_id = await self._passthrough.upload(token, kind, head, _bounded(kind, chunks))
        self._note_unshared(token, answer)
        if answer.errcode in error_codes.CODES[TokenRejected]:
            await self._engine.replace(token.key, token.generation)
            raise WecomUnavailable("the token had died; send the file again", PAUSE, errcode=answer.errcode)
        return answer, media_id

    async def download(self, target: Target, media_id: str) -> AsyncGenerator[MediaHead | bytes, None]:
        """Yield the file's head, then its pieces. Raises what an errcode means, and as `call`."""
        if not re.fullmatch(r"[\x21-\x7e]{1,512}", media_id):
            raise InvalidRequest("media_id", "must be 1 to 512 visible characters")
        token = await self._targets.reach(target, self._token_of_corp)
        for attempt in range(2):
            try:
                async with aclosing(self._passthrough.download(token, media_id)) as pieces:
                    async for piece in pieces:
                        yield piece
            except AppNotShared:
                self._engine.on_unshared(token.key)
                raise
            except TokenRejected as died:
                if attempt:
                    raise WecomUnavailable(died.message, PAUSE, **died.metadata) from None
                _, token = await self._engine.replace(token.key, token.generation)
            else:
                return


def _is_about(error: WecomUnavailable, call: ApiCall, answer: ApiAnswer) -> bool:
    """Return whether the error is that answer to the call: it may be the fetch of a new token that failed."""
    found = error.metadata.get
    return (found("endpoint"), found("errcode")) == (call.path, str(answer.errcode))


async def _bounded(kind: str, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the chunks of a file that WeCom takes. Raises `InvalidRequest` for a larger one."""
    size, largest = 0, LARGEST_FILES[kind] * MEBIBYTE
    async for chunk in chunks:
        size += len(chunk)
        if size > largest:
            raise InvalidRequest(
                "chunk", f"is of a file of more than {largest} bytes, WeCom's limit of {kind}"
            )
        yield chunk


def check_call(call: ApiCall) -> None:
    """Refuse a call that may not be passed on. Raises `InvalidRequest`."""
    if not is_path(call.path):
        raise InvalidRequest("path", "must be a path under /cgi-bin/")
    if reason := why_closed(call.path):
        raise InvalidRequest("path", f"{reason}: not for CallApi")
    for name, _ in call.query:
        if not QUERY_NAME.fullmatch(name):
            raise InvalidRequest("query", "has a name that is not of letters, digits and '_'")
        if name.lower() in TOKEN_NAMES:
            raise InvalidRequest("query", f"{name} is the broker's to add")
        if name.lower() in CODES:
            raise InvalidRequest("query", f"{name} is a one-time code or a user's: not for CallApi")
    if sum(len(name) + len(value.encode()) for name, value in call.query) > LONGEST_QUERY:
        raise InvalidRequest("query", f"must be at most {LONGEST_QUERY} bytes")
    if len(call.body) > LARGEST_BODY:
        raise InvalidRequest("body", f"must be at most {LARGEST_BODY} bytes")
    if call.body and call.method == "GET":
        raise InvalidRequest("body", "a GET has none")
    if call.body:
        _check_body(call.body)


def _check_body(body: bytes) -> None:
    """Refuse what is not JSON, and what carries credentials that only the broker uses."""
    try:
        found = json.loads(body.decode(), strict=False, object_pairs_hook=tuple)
    except (ValueError, RecursionError):
        raise InvalidRequest("body", "must be JSON, in UTF-8") from None
    members = found if isinstance(found, tuple) else ()
    if carried := [name for name, _ in members if name.lower() in CREDENTIALS]:
        raise InvalidRequest("body", f"carries {carried[0].lower()}, which is the broker's alone")
