"""What operators read, in a language: sentences with gaps, moments and durations."""

import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from importlib.resources import files

from google.protobuf.timestamp_pb2 import Timestamp

UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))


class Words:
    """One language. The English sentence is the name of its translations."""

    def __init__(
        self, code: str, translations: Mapping[str, str] | None = None, zone: tzinfo | None = None
    ) -> None:
        """Without `zone`, moments are in this machine's time."""
        self.code = code
        self._translations = translations or {}
        self._zone = zone

    def say(self, sentence: str, /, **gaps: object) -> str:
        """Return the sentence with its gaps filled."""
        return self._translations.get(sentence, sentence).format_map(gaps)

    def known(self, sentence: str) -> str | None:
        """Return the translation, gaps and all, if there is one."""
        return self._translations.get(sentence)

    def translated(self, text: str) -> str:
        """Return the translation of a text without gaps, else the text itself."""
        return self._translations.get(text, text)

    def joined(self, *parts: str) -> str:
        """Return the parts that are not empty as a list in one line."""
        return self.say(", ").join(filter(None, parts))

    def moment(self, at: Timestamp | datetime) -> str:
        """Return a moment, to the second."""
        text = _moment(at).astimezone(self._zone).isoformat(sep=" ", timespec="seconds")
        return text.replace("+00:00", " UTC")

    @staticmethod
    def iso(at: Timestamp | datetime) -> str:
        """Return a moment for programs."""
        return _moment(at).astimezone(UTC).isoformat(timespec="seconds")

    def ago(self, at: Timestamp | datetime, now: datetime | None = None) -> str:
        """Return how long ago it was, or "in 5 min" for what is to come."""
        passed = (now or datetime.now(UTC)) - _moment(at)
        if passed >= timedelta(0):
            return self.say("{span} ago", span=self.span(passed))
        return self.say("in {span}", span=self.span(-passed))

    def span_since(self, at: Timestamp | datetime, now: datetime | None = None) -> str:
        """Return the time that has passed since a moment."""
        return self.span(max((now or datetime.now(UTC)) - _moment(at), timedelta(0)))

    def span(self, duration: timedelta) -> str:
        """Return a duration in the one unit that suits it."""
        seconds = int(duration.total_seconds())
        for unit, size in UNITS:
            if seconds >= 2 * size:
                return f"{seconds // size} {self.say(unit)}"
        return f"{seconds} {self.say('s')}"


def _moment(at: Timestamp | datetime) -> datetime:
    return at if isinstance(at, datetime) else at.ToDatetime(UTC)


def translations(language: str) -> dict[str, str]:
    """Return the sentences of a language by the English ones."""
    text = files(__package__).joinpath(f"{language}.toml").read_text(encoding="utf-8")
    tables = tomllib.loads(text)
    return {sentence: said for table in tables.values() for sentence, said in table.items()}


ENGLISH = Words("en")
