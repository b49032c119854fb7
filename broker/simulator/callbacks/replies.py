"""Passive replies (被动回复): messages to the member in the answer to a callback (wecom-api C2)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from broker.simulator.crypto import CallbackKeys


@dataclass(frozen=True, slots=True)
class Reply:
    """Hold the message, or why WeCom would drop it; an answer without a reply has neither."""

    message: str = ""
    problem: str = ""


def open_reply(keys: CallbackKeys, body: str, receive_id: str, robots_nonce: str = "") -> Reply:
    """Open the reply in an answer. A robot's is JSON, and has the nonce of its callback."""
    words = _words(body, json_only=bool(robots_nonce))
    if not (encrypted := words.get("encrypt")):
        return Reply()
    if problem := _problem(keys, words, robots_nonce):
        return Reply(problem=problem)
    try:
        message, sealed_for = keys.open(encrypted)
    except ValueError as mistake:
        return Reply(problem=f"it does not open: {mistake}")
    if sealed_for != receive_id:
        return Reply(problem=f"sealed for {sealed_for!r}, not for {receive_id!r}")
    return Reply(message.decode(errors="replace"))


def _problem(keys: CallbackKeys, words: Mapping[str, str], robots_nonce: str) -> str:
    timestamp, nonce = words.get("timestamp", ""), words.get("nonce", "")
    if words.get("msgsignature") != keys.sign(timestamp, nonce, words["encrypt"]):
        return "the signature is wrong"
    if robots_nonce and nonce != robots_nonce:
        return "the nonce is not the callback's"
    return ""


def _words(body: str, *, json_only: bool) -> Mapping[str, str]:
    try:
        if json_only or body.startswith("{"):
            fields = json.loads(body)
            return {name: str(value) for name, value in fields.items()} if isinstance(fields, dict) else {}
        root = ET.fromstring(body)  # noqa: S314 - it is what the tested service says
        return {part.tag.lower(): (part.text or "").strip() for part in root}
    except (ValueError, RecursionError, ET.ParseError):
        return {}
