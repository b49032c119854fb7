"""One checked call, as an endpoint gets it; its readers refuse what WeCom would refuse."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from broker.simulator.answers import Refusal
from broker.simulator.world.media import UploadedFile
from broker.simulator.world.shares import BusinessType, Owner
from broker.simulator.world.tokens import Token

_MOST_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Call:
    """Hold the fields of a call that passed the common checks."""

    path: str
    query: Mapping[str, str]
    body: Mapping[str, object]
    ip: str
    token: Token | None = field(default=None, repr=False)
    file: UploadedFile | None = None

    @property
    def owner(self) -> Owner:
        """Return the owner of the token; only for endpoints registered with a token kind."""
        if self.token is None:
            raise LookupError(f"{self.path} was registered without a token")
        return self.token.owner

    def parameter(self, name: str, *, missing: int) -> str:
        """Read a query parameter; refuse with `missing` if it is absent."""
        if not (value := self.query.get(name, "")):
            raise Refusal(missing)
        return value

    def agentid_parameter(self) -> int:
        """Read the agentid of the query."""
        value = self.parameter("agentid", missing=41011)
        if not value.isascii() or not value.isdigit() or len(value) > _MOST_DIGITS:
            raise Refusal(40056)
        return int(value)

    def agentid(self) -> int:
        """Read the agentid of the body: an int; a string of digits is refused."""
        if "agentid" not in self.body:
            raise Refusal(41011)
        value = self.body["agentid"]
        if type(value) is not int:
            raise Refusal(40056, "invalid agentid, should be an integer")
        return value

    def business_type(self) -> BusinessType:
        """Read the kind of sharing, by default 企业互联."""
        try:
            return BusinessType(self.integer("business_type"))
        except ValueError:
            raise Refusal(40058, "invalid business_type") from None

    def text(self, name: str, *, missing: int | None = None) -> str:
        """Read a string of the body; if it is absent, return "" or refuse with `missing`."""
        value = self.body.get(name, "")
        if not isinstance(value, str):
            raise Refusal(40058, f"invalid {name}, should be a string")
        if missing is not None and not value:
            raise Refusal(missing)
        return value

    def integer(self, name: str) -> int:
        """Read an int of the body, by default 0."""
        value = self.body.get(name, 0)
        if type(value) is not int:
            raise Refusal(40058, f"invalid {name}, should be an integer")
        return value
