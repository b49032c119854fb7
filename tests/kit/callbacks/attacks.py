"""Requests of strangers and broken senders to the callback endpoint: one of each kind, byte by byte."""

import asyncio
import base64
import gzip
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from urllib.parse import quote, urlencode

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from broker.domain.secret import Secret
from broker.protocol.callbacks.envelope import CallbackKeys, pad, seal, sign
from broker.simulator.callbacks.cdata import document
from broker.simulator.demo import PARENT
from tests.kit.callbacks.sender import DEMO_KEYS

PATH = "/callback/crm"
MARK = "SaidInConfidence"
"""Is in every attack that has room for it: no answer and no log may contain it."""
FOREIGN_KEYS = CallbackKeys(
    Secret("SomebodyElsesToken"), Secret("SomebodyElsesKeyOfHisOwnCallbacksToNobody0B")
)
ENTITIES = [
    f'<!ENTITY {name} "{f"&{inner};" * 10}">' for inner, name in zip("abcdefgh", "bcdefghi", strict=True)
]
BOMB = (
    f'<!DOCTYPE xml [<!ENTITY a "{MARK}">{"".join(ENTITIES)}]>'
    "<xml><ToUserName>&i;</ToUserName><Encrypt>&i;</Encrypt></xml>"
).encode()
EXTERNAL = (
    b'<!DOCTYPE xml [<!ENTITY e SYSTEM "file:///etc/hostname">]>'
    b"<xml><ToUserName>&e;</ToUserName><Encrypt>&e;</Encrypt></xml>"
)
PLAIN_DTD = b"<!DOCTYPE xml><xml><Encrypt>AAAA</Encrypt></xml>"
DEEP = b"<xml>" + b"<a>" * 20_000 + b"</a>" * 20_000 + b"</xml>"
DEEP_JSON = b'{"a":' * 20_000 + b"1" + b"}" * 20_000
NAMESPACES = b"<xml xmlns:a='%s' %s/>" % (
    b"u" * 240_000,
    b" ".join(b"a:b%d='1'" % number for number in range(190)),
)
"""A namespace-aware parser copies the 240 kB into each of the 190 names."""
NOT_UTF8 = b"<xml><Encrypt>\xff\xfe\xc0\x80</Encrypt></xml>"


@dataclass(frozen=True)
class Attack:
    """A request, and how it is refused; without an outcome it is refused before it is counted."""

    name: str
    request: bytes
    statuses: tuple[int, ...]
    outcome: str = ""
    app: str = "crm"


@dataclass(frozen=True)
class Reply:
    """How a request was answered; 0 = the connection was closed."""

    status: int
    answer: bytes
    seconds: float


async def knock(port: int, request: bytes, within: float = 10.0) -> Reply:
    """Send the bytes, and return the first answer."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(within):
            writer.write(request)
            answer = b""
            try:
                await writer.drain()
                answer = await reader.readuntil(b"\r\n\r\n")
                for line in answer.lower().split(b"\r\n"):
                    if line.startswith(b"content-length:") and not request.startswith(b"HEAD"):
                        answer += await reader.readexactly(int(line.split(b":")[1]))
            except (ConnectionError, asyncio.IncompleteReadError) as error:
                answer += getattr(error, "partial", b"")
    finally:
        writer.close()
    status = int(answer.split()[1]) if answer.startswith(b"HTTP/1.") else 0
    return Reply(status, answer, time.monotonic() - began)


def http(
    method: str = "POST",
    path: str = PATH,
    query: Mapping[str, str] | str = "",
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """Return the bytes of a request."""
    words = query if isinstance(query, str) else urlencode(query)
    fields = {
        "Host": "broker",
        "Content-Length": str(len(body)),
        "Content-Type": "text/xml",
        **(headers or {}),
    }
    lines = [
        f"{method} {path}{'?' if words else ''}{words} HTTP/1.1",
        *(f"{k}: {v}" for k, v in fields.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def query_of(encrypted: str, keys: CallbackKeys = DEMO_KEYS, **changed: str) -> dict[str, str]:
    """Return a query with a valid signature; `changed` is applied after signing."""
    timestamp, nonce = str(int(time.time())), str(secrets.randbelow(10**10))
    signed = {"timestamp": timestamp, "nonce": nonce, **changed}
    signature = sign(keys.token, signed["timestamp"], signed["nonce"], encrypted)
    return {"msg_signature": signature, **signed}


def posted(encrypted: str, keys: CallbackKeys = DEMO_KEYS) -> bytes:
    """Return a POST of sealed content, with a valid signature."""
    body = document(ToUserName=PARENT.corpid, AgentID="1", Encrypt=encrypted).encode()
    return http(query=query_of(encrypted, keys), body=body)


def sealed(message: bytes, receive_id: str = PARENT.corpid) -> str:
    """Seal as WeCom does."""
    return seal(DEMO_KEYS, message, receive_id, secrets.token_bytes(16))


def sealed_blocks(plaintext: bytes) -> str:
    """Seal any whole blocks, without the structure and padding of a real message."""
    key = DEMO_KEYS.aes_key
    encryptor = Cipher(AES(key), CBC(key[:16])).encryptor()
    return base64.b64encode(encryptor.update(plaintext) + encryptor.finalize()).decode()


def unsigned(body: bytes, **headers: str) -> bytes:
    """Return a POST with a meaningless signature."""
    query = {"msg_signature": "0" * 40, "timestamp": str(int(time.time())), "nonce": "1"}
    return http(
        query=query, body=body, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


@cache
def gzip_bomb() -> bytes:
    """Return 250 kB that decompress to 256 MB."""
    return gzip.compress(bytes(256 << 20))


def attacks() -> list[Attack]:
    """Return one request of each kind; `mute` is an app without a callback."""
    return [
        *_with_the_body(),
        *_with_a_valid_signature(),
        *_with_the_query(),
        *_with_the_path(),
        *_with_http(),
    ]


def _with_the_body() -> list[Attack]:
    bodies = {
        "xml bomb": BOMB,
        "external entity": EXTERNAL,
        "dtd": PLAIN_DTD,
        "not utf-8": NOT_UTF8,
        "deep xml": DEEP,
        "deep json": DEEP_JSON,
        "many elements": b"<xml>" + b"<a/>" * 50_000 + b"</xml>",
        "many attributes": b"<xml " + b" ".join(b'a%d="1"' % number for number in range(20_000)) + b"/>",
        "namespaces": NAMESPACES,
        "empty": b"",
        "no xml": MARK.encode(),
        "no Encrypt": f"<xml><a>{MARK}</a></xml>".encode(),
        "json list": b"[]",
        "nul": b"\0" * 1000,
        "utf-16": document(Encrypt="AAAA").encode("utf-16"),
    }
    return [
        *(Attack(name, unsigned(body), (400,), "format") for name, body in bodies.items()),
        Attack("300 kB", unsigned(b"<xml>" + b"x" * 300_000), (413,), "size"),
        Attack("300 kB in chunks", _chunked(b"x" * 300_000), (413,), "size"),
        Attack("gzip bomb", unsigned(gzip_bomb(), Content_Encoding="gzip"), (400, 413), "format"),
        Attack("broken gzip", unsigned(b"\x1f\x8b" + b"x" * 100, Content_Encoding="gzip"), (400,), "format"),
        Attack("broken deflate", unsigned(b"x" * 100, Content_Encoding="deflate"), (400,), "format"),
        Attack("broken brotli", unsigned(b"x" * 100, Content_Encoding="br"), (400,), "format"),
        Attack(
            "250 kB to be signed", unsigned(document(Encrypt="A" * 250_000).encode()), (403,), "signature"
        ),
        Attack(
            "a number to be signed", unsigned(b'{"encrypt": ' + b"9" * 100_000 + b"}"), (403,), "signature"
        ),
        Attack("json to be signed", unsigned(json.dumps({"encrypt": MARK}).encode()), (403,), "signature"),
    ]


def _with_a_valid_signature() -> list[Attack]:
    head = secrets.token_bytes(16)
    overrun = pad(head + (2**32 - 1).to_bytes(4, "big") + MARK.encode() + PARENT.corpid.encode())
    message = document(ToUserName=PARENT.corpid, MsgType="text", Content=MARK).encode()
    formats = {
        "sealed xml bomb": BOMB,
        "sealed external entity": EXTERNAL,
        "sealed deep xml": DEEP,
        "sealed deep json": DEEP_JSON,
        "sealed not utf-8": NOT_UTF8 + MARK.encode(),
        "sealed no xml": MARK.encode(),
        "sealed nothing": b"",
    }
    return [
        *(Attack(name, posted(sealed(body)), (400,), "format") for name, body in formats.items()),
        Attack("bad padding", posted(sealed_blocks(bytes(64))), (400,), "padding"),
        Attack("padding of 33", posted(sealed_blocks(b"\x21" * 64)), (400,), "padding"),
        Attack("length overrun", posted(sealed_blocks(overrun)), (400,), "length"),
        Attack("no room for a length", posted(sealed_blocks(b"\x10" * 16)), (400,), "length"),
        Attack("not base64", posted("!" + MARK), (400,), "encoding"),
        Attack("half a block", posted("AAAA"), (400,), "encoding"),
        Attack("for somebody else", posted(sealed(message, "wwSomebodyElse")), (403,), "receive_id"),
        Attack("for nobody", posted(sealed(message, "")), (403,), "receive_id"),
        Attack(
            "receiver that is no text",
            posted(sealed_blocks(pad(head + bytes(4) + b"\xff\xfe"))),
            (403,),
            "receive_id",
        ),
        Attack("foreign signature", posted(sealed(message), FOREIGN_KEYS), (403,), "signature"),
    ]


def _with_the_query() -> list[Attack]:
    encrypted = sealed(document(ToUserName=PARENT.corpid, MsgType="text", Content=MARK).encode())
    body = document(Encrypt=encrypted).encode()
    query = query_of(encrypted)
    whole = urlencode(query)
    old = query_of(encrypted, timestamp=str(int(time.time()) - 86_400))
    return [
        Attack("no query", http(body=body), (400,), "query"),
        *(
            Attack(f"no {name}", http(query={**query, name: ""}, body=body), (400,), "query")
            for name in query
        ),
        *(
            Attack(f"wrong {name} first", http(query=f"{name}=1&{whole}", body=body), (403,), "signature")
            for name in query
        ),
        *(
            Attack(f"huge {name}", http(query={**query, name: "1" * 5000}, body=body), (400,), "query")
            for name in query
        ),
        Attack("longer than a line", http(query={**query, "nonce": "1" * 20_000}, body=body), (400, 414)),
        Attack("long nonce", http(query=query_of(encrypted, nonce="1" * 64), body=body), (403,), "signature"),
        Attack(
            "no utf-8 in it", http(query=whole.replace("nonce=", "nonce=%ff"), body=body), (403,), "signature"
        ),
        Attack("nul in it", http(query=whole.replace("nonce=", "nonce=%00"), body=body), (403,), "signature"),
        Attack("old", http(query=old, body=body), (403,), "timestamp"),
        Attack("no number", http(query=query_of(encrypted, timestamp="now"), body=body), (403,), "timestamp"),
        Attack(
            "huge number", http(query=query_of(encrypted, timestamp="9" * 16), body=body), (403,), "timestamp"
        ),
        Attack(
            "foreign digits", http(query=query_of(encrypted, timestamp="١٢٣"), body=body), (403,), "timestamp"
        ),
        Attack("no echostr", http("GET", query=query), (400,), "query"),
        Attack("huge echostr", http("GET", query={**query, "echostr": "A" * 7000}), (403,), "signature"),
        Attack(
            "a caught POST as a GET", http("GET", query={**query, "echostr": encrypted}), (400,), "format"
        ),
    ]


def _with_the_path() -> list[Attack]:
    paths = [
        "/callback/nobody",
        f"/callback/{MARK}",
        "/callback/crm%2F..%2Fmetrics",
        "/callback/%FF%00",
        "/callback/CRM",
    ]
    paths += [f"/callback/{quote('应用')}", "/callback/" + "x" * 4000, "/callback/crm%20", "/callback/.."]
    mute = "/callback/mute"
    return [
        *(
            Attack(f"{method} {path[:30]}", http(method, path, body=b""), (404,), "unknown_app", "")
            for path in paths
            for method in ("GET", "POST")
            if path != "/callback/.."
        ),
        *(
            Attack(
                f"unsigned {path[:30]}",
                http(path=path, query="msg_signature=1", body=b"x" * 300_000),
                (404,),
                "unknown_app",
                "",
            )
            for path in paths[:2]
        ),
        Attack("POST without callback", http(path=mute), (404,), "no_callback", "mute"),
        Attack("GET without callback", http("GET", mute), (404,), "no_callback", "mute"),
        *(
            Attack(f"{method} {path}", http(method, path), (404,), outcome, app)
            for method in ("GET", "POST")
            for path, outcome, app in (
                ("/callback/a/b", "unknown_app", ""),
                ("/callback/a/", "unknown_app", ""),
                ("/callback/crm/ww1", "no_callback", "crm"),
                ("/callback/crm/a%20b", "no_callback", "crm"),
            )
        ),
        *(
            Attack(f"{method} {path}", http(method, path), (404,))
            for method in ("GET", "POST")
            for path in (
                "/callback",
                "/callback/",
                "/callback//",
                "/callback/crm//",
                "/callback/crm/a/b",
                "//callback/crm",
            )
        ),
    ]


def _with_http() -> list[Attack]:
    many = {f"X-Header-{number}": "x" * 100 for number in range(1000)}
    return [
        *(
            Attack(method, http(method), (405,))
            for method in ("HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE")
        ),
        Attack("header flood", http(headers=many), (400, 431)),
        Attack("huge header", http(headers={"X-Forwarded-For": "1.1.1.1, " * 5000}), (400, 431)),
        Attack("no target", b"CONNECT  \r\nHost: broker\r\n\r\n", (404, 405)),
        Attack("no http", b"\x16\x03\x01 hello\r\n\r\n", (400,)),
        Attack("two lengths", http(headers={"content-length": "5"}, body=b"hello!"), (400,)),
        *(
            Attack(f"expects {place} {path}", _expecting(path, what), (417,))
            for path in ("/callback/crm", "/nowhere")
            for place, what in enumerate((b"the unexpected", b"100-contin\x8e\xfc", b"\xff"))
        ),
        Attack("negative length", http(headers={"Content-Length": "-1"}), (400,)),
        Attack("bad chunks", http(headers={"Transfer-Encoding": "chunked"}, body=b"zz\r\n"), (400,)),
    ]


def _expecting(path: str, what: bytes) -> bytes:
    return http(path=path, headers={"Expect": "X"}).replace(b"Expect: X", b"Expect: " + what)


def _chunked(body: bytes) -> bytes:
    head = unsigned(b"").partition(b"Content-Length: 0\r\n")
    pieces = [body[start : start + 4096] for start in range(0, len(body), 4096)]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return head[0] + b"Transfer-Encoding: chunked\r\n" + head[2] + chunks + b"0\r\n\r\n"
