"""The text of configuration and secret files: UTF-8, whatever the locale and the editor."""

import codecs
import tomllib
from pathlib import Path
from typing import Any


class NotUtf8(ValueError):
    """The file is in another encoding; the message names the encoding if it can be recognised."""


class NotToml(ValueError):
    """The file's text cannot be read as TOML; the message says why."""


def read_toml(path: Path) -> dict[str, Any]:
    """Return the file's tables. Raises `OSError`, `NotUtf8`, `NotToml`."""
    text = read_text(path)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise NotToml(f"is not TOML: {error}") from None
    # The limits of Python, which tomllib lets through as they are.
    except ValueError:
        raise NotToml("has a number with too many digits") from None
    except RecursionError:
        raise NotToml("is nested too deeply") from None


def read_text(path: Path) -> str:
    """Return the file's text without a byte order mark. Raises `OSError`, `NotUtf8`."""
    return decode(path.read_bytes())


def decode(raw: bytes) -> str:
    """Return the text without a byte order mark. Raises `NotUtf8`."""
    # UTF-16 without a mark has zero bytes, which are valid UTF-8 and never part of a configuration.
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in raw[:4]:
        raise NotUtf8("is UTF-16; save it as UTF-8")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NotUtf8("is not UTF-8") from None
