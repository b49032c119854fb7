"""A page for a browser: shows a signature that a broker computed, and checks it."""

from collections.abc import Awaitable, Callable, Mapping
from html import escape

from aiohttp import web

from broker.simulator.world import World
from broker.simulator.world.corps import AppId
from broker.simulator.world.tickets import SignedPage, TicketKind

_MOST_DIGITS = 18
_FIELDS = {
    "corp": "corp_id",
    "agentid": "agent_id",
    "kind": "corp (wx.config) or agent (wx.agentConfig)",
    "url": "the page's URL",
    "timestamp": "seconds since 1970",
    "nonceStr": "nonce_str",
    "signature": "lower-case SHA-1",
}
_VERDICTS = {
    0: "OK: the signature fits a living ticket.",
    40093: "40093: no living ticket of this corp or app makes this signature.",
    42012: "42012: made with the other kind of ticket: wx.config takes the corp's, agentConfig the app's.",
}
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem }
label { display: grid; grid-template-columns: 7rem 1fr; gap: 0 1rem; margin: .5rem 0 }
input { font: 14px/1.5 ui-monospace, monospace; padding: .25rem .5rem; min-width: 0 }
small { grid-column: 2; color: #666 }
.verdict { padding: .75rem 1rem; border-left: .4rem solid #b00; background: #fdecec }
.verdict[data-errcode="0"] { border-color: #080; background: #eaf7ea }
"""


def page_handler(world: World) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Make the handler of GET /page."""

    async def handle(request: web.Request) -> web.Response:
        fields = {name: request.query.get(name, "") for name in _FIELDS}
        verdict = _verdict(check(world, fields)) if request.query else ""
        text = _PAGE.format(style=_STYLE, verdict=verdict, inputs="".join(map(_input, fields.items())))
        return web.Response(text=text, content_type="text/html", headers=_HEADERS)

    return handle


def check(world: World, fields: Mapping[str, str]) -> int:
    """Recompute the signature with the world's own tickets, as WeCom does; return 0 or its errcode."""
    corp = world.corps.find(fields["corp"])
    agentid, timestamp = _number(fields["agentid"] or "0"), _number(fields["timestamp"])
    if corp is None or agentid is None or timestamp is None or fields["kind"] not in list(TicketKind):
        return 40093
    page = SignedPage(fields["nonceStr"], timestamp, fields["url"], fields["signature"])
    kind = TicketKind(fields["kind"])
    return world.tickets.errcode_of(kind, AppId(corp.corpid, agentid), page, world.now())


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None


def _verdict(errcode: int) -> str:
    return f'<p class="verdict" data-errcode="{errcode}">{escape(_VERDICTS[errcode])}</p>'


def _input(entry: tuple[str, str]) -> str:
    name, value = entry
    return (
        f'<label>{name} <input name="{name}" value="{escape(value)}" spellcheck="false">'
        f"<small>{escape(_FIELDS[name])}</small></label>"
    )


# The page loads no resources and runs no scripts.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>JS-SDK signature</title>
<style>{style}</style>
</head>
<body>
<h1>JS-SDK signature</h1>
<p>Fields of a signature that a broker computed; the simulated WeCom checks it with its own tickets.</p>
{verdict}
<form method="get" action="/page">
{inputs}
<button>Check</button>
</form>
</body>
</html>
"""
