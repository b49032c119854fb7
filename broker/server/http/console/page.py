"""The page itself: a template, in which everything that is not ours is escaped and made printable."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from urllib.parse import urlencode

from jinja2 import DictLoader, Environment, StrictUndefined, select_autoescape
from markupsafe import Markup

from broker.domain.printable import printable
from broker.server.diagnosis.words import Words
from broker.server.http.console.language import LANGUAGES, NAMES
from broker.server.http.console.overview import Seen
from broker.server.http.console.problems import problems_of
from broker.server.http.console.rows import Row

ROWS = 100
"""On one page."""
LONGEST = 300
"""Characters of one text: WeCom and callers write some of them."""
CUT = "…"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a browser asks for, as the address says it."""

    app: str = ""
    """Empty = all apps."""
    find: str = ""
    page: int = 1
    lang: str = ""
    """Empty = as the browser likes it."""
    retried: str = ""
    """The app whose *try again* led here."""

    def link(self, **changed: object) -> str:
        """Return the address of another view."""
        fields = {"app": self.app, "find": self.find, "lang": self.lang, **changed}
        query = urlencode({name: value for name, value in fields.items() if value})
        return f"/?{query}" if query else "/"


@dataclass(frozen=True, slots=True)
class Cut:
    """One page of the rows."""

    rows: Sequence[Row]
    page: int
    pages: int
    found: int
    """How many rows all pages have together."""


class Page:
    """Write HTML."""

    def __init__(self) -> None:
        texts = {name: _text(name) for name in ("console.html", "refused.html", "frame.html")}
        self._environment = Environment(
            loader=DictLoader(texts),
            autoescape=select_autoescape(),
            undefined=StrictUndefined,
            finalize=shown,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        style = _text("console.css")
        self._common = {"style": Markup(style), "languages": {code: NAMES[code] for code in LANGUAGES}}  # noqa: S704 - our own file
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        self.policy = (
            f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self';"
            " base-uri 'none'; frame-ancestors 'none'"
        )
        """The Content-Security-Policy: no script, nothing from elsewhere, and this style alone."""

    def console(self, seen: Seen, asked: Asked, may_retry: frozenset[str]) -> str:
        """Return the page of what was seen."""
        return self._render(
            "console.html",
            seen.facts.words,
            asked,
            seen=seen,
            now=seen.now,
            cut=cut(seen.rows, asked),
            problems=problems_of(seen),
            may_retry=may_retry,
        )

    def refused(self, words: Words, asked: Asked, *, reason: str, message: str, hint: str) -> str:
        """Return the page of who gets nothing."""
        return self._render("refused.html", words, asked, reason=reason, message=message, hint=hint)

    def _render(self, name: str, words: Words, asked: Asked, **fields: object) -> str:
        known: Mapping[str, object] = {"words": words, "say": words.say, "asked": asked, **self._common}
        return self._environment.get_template(name).render({**known, **fields})


def cut(rows: Sequence[Row], asked: Asked) -> Cut:
    """Return the rows of the page that is asked for, or of the last one there is."""
    text = asked.find.strip().lower()
    found = [row for row in rows if row.has(text)] if text else rows
    pages = max(1, -(-len(found) // ROWS))
    page = min(max(1, asked.page), pages)
    return Cut(found[(page - 1) * ROWS : page * ROWS], page, pages, len(found))


def shown(value: object) -> object:
    """Return what is written for a value: nothing that a browser acts on, and no more than a little."""
    if isinstance(value, Markup):
        return value
    if value is None:
        return ""
    text = str(value)
    return printable(text if len(text) <= LONGEST else text[:LONGEST] + CUT)


def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
