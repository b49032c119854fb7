"""The languages of the console, and which one a browser asks for."""

import re
from datetime import UTC

from aiohttp import web

from broker.server.diagnosis.words import Words, translations

LANGUAGES = {
    "en": Words("en", zone=UTC),
    "zh": Words("zh", translations("chinese"), UTC),
}
NAMES = {"en": "English", "zh": "中文"}
RANGE = re.compile(r"\s*([a-zA-Z]{1,8})(?:-[\w-]*)?\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?))?\s*")
MOST_RANGES = 20


def language_of(request: web.Request) -> Words:
    """Return the language that the address names, else the one that the browser likes best."""
    if named := LANGUAGES.get(request.query.get("lang", "")):
        return named
    liked = [RANGE.fullmatch(part) for part in request.headers.get("Accept-Language", "").split(",")]
    known = [
        (float(found[2] or 1), found[1].lower())
        for found in liked[:MOST_RANGES]
        if found and found[1].lower() in LANGUAGES
    ]
    best = max(known, key=lambda each: each[0], default=(1.0, "en"))
    return LANGUAGES[best[1]]
