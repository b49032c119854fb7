"""Messages without the credentials that only the broker may spend (wecom-api C4, J).

A subscriber gets what it needs to act: conversation and 客服 tokens, NotifyId, response_url, RegisterCode. It
does not get what installs a suite, renews its token, or is a token.
"""

import json
import re

from broker.protocol.callbacks.json import is_json
from broker.protocol.callbacks.message import Message

CREDENTIALS = frozenset({"authcode", "suiteticket", "permanentcode", "accesstoken"})
"""Names of elements, in lower case: of create_auth, reset_permanent_code, suite_ticket, register_corp."""
ELEMENT = re.compile(
    rf"(<({'|'.join(sorted(CREDENTIALS))})(?:\s[^<>]*)?>).*?(</\2\s*>)", re.DOTALL | re.IGNORECASE
)


def without_credentials(message: Message) -> Message:
    """Return the message with each credential emptied, in its fields and in its text."""
    secret = {name: value for name, value in message.fields.items() if _is_secret(name)}
    if not secret:
        return message
    emptied = _emptied_json if is_json(message.text) else _emptied_xml
    text = emptied(message.text)
    if any(value in text for value in secret.values() if value):
        # Written in a way that was not recognised: rather no text than one with a credential.
        text = ""
    return Message(text, {**message.fields, **dict.fromkeys(secret, "")})


def _is_secret(name: str) -> bool:
    return any(part.lower() in CREDENTIALS for part in name.split("."))


def _emptied_xml(text: str) -> str:
    return ELEMENT.sub(r"\1\3", text)


def _emptied_json(text: str) -> str:
    return json.dumps(_emptied(json.loads(text)), ensure_ascii=False)


def _emptied(value: object) -> object:
    match value:
        case dict():
            return {name: "" if _is_secret(name) else _emptied(inner) for name, inner in value.items()}
        case list():
            return [_emptied(inner) for inner in value]
        case _:
            return value
