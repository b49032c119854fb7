"""What an error reply of Redis says about the server that gave it."""

import re
from collections.abc import Mapping

from redis.exceptions import RedisError, ResponseError

WRONG_SERVER: Mapping[str, bool] = {
    # A replica: it was the primary until a failover, and the address leads to another server by now.
    "READONLY": True,
    "MASTERDOWN": True,
    # A primary that lost its replicas: they may have elected another.
    "NOREPLICAS": True,
    # A server that was just started, or is copying from its primary.
    "LOADING": True,
    # A member of a cluster that does not have the key (any more), or has lost the others.
    "MOVED": True,
    "ASK": True,
    "CLUSTERDOWN": True,
    # A server with other users, or one whose users were changed: a new connection logs in anew.
    "NOAUTH": True,
    "WRONGPASS": True,
    # The only reply without an error code; Redis sends it to a new connection, then closes it.
    "max number of clients reached": True,
    # It cannot save. When the address moves away from such a server, nobody makes it a replica (READONLY).
    "MISCONF": True,
    # The right server, which refuses this command now ...
    "OOM": False,
    "BUSY": False,
    "TRYAGAIN": False,
    # ... or always: another connection would get the same reply.
    "NOSCRIPT": False,
    "WRONGTYPE": False,
    "NOPERM": False,
    "CROSSSLOT": False,
    "EXECABORT": False,
    "NOPROTO": False,
}
"""Whether that reply ends every connection: new ones resolve the address again.

A reply that is not listed ends none.
"""

LONGEST_CAUSE = 200
WRONG_TYPE = "WRONGTYPE"

# Before version 7 the reply to a command in a script comes at the end of another one: ERR Error running
# script (call to f_1): @user_script:1: @user_script: 1: -READONLY You can't write ...
_IN_A_SCRIPT = re.compile(r"@user_script: ?\d+: -([A-Z]+) ")


def comes_from_wrong_server(error: Exception) -> bool:
    """Return whether the reply is one of a server that should not be asked."""
    if not isinstance(error, RedisError):
        return False
    text = str(error)
    wrapped = _IN_A_SCRIPT.search(text)
    code = wrapped[1] if wrapped else error.status_code or text.partition(" ")[0]
    return WRONG_SERVER.get(text if code == "ERR" else code, False)


def is_of_wrong_type(error: BaseException) -> bool:
    """Return whether a command, perhaps in a script, found something of another type under its key."""
    return isinstance(error, ResponseError) and (error.status_code == WRONG_TYPE or WRONG_TYPE in str(error))


def cause_of(error: BaseException) -> str:
    """Return the server's own words, or what else went wrong, in one line; no secret is in it."""
    # Where a command is unknown Redis repeats its arguments, and those of HELLO are user and password.
    text = " ".join(str(error).partition(", with args beginning with")[0].split())[:LONGEST_CAUSE]
    word = (error.status_code if isinstance(error, RedisError) else None) or f"{type(error).__name__}:"
    return f"{word} {text}".rstrip(": ")
