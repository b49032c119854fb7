"""How often WeCom may be asked: the engine's rules as numbers."""

from collections import Counter

from broker.adapters.wecom.client import PAUSES
from broker.usecases.limits.circuit_breaker import FEWEST_FAILURES
from tests.chaos.faults import Fault, Vain
from tests.chaos.load import WARM, Seen
from tests.chaos.world import BROKERS, COOLDOWN, World
from tests.kit.processes.fleet import CHILD_TOKEN, GETTOKEN

TOKENS = (GETTOKEN, CHILD_TOKEN, "/cgi-bin/get_jsapi_ticket", "/cgi-bin/ticket/get")
"""The endpoints whose calls are bounded: what each of them answers is a credential."""
UNDER_WAY, PROBES = 10, 6
"""How many fetches may be under way when a breaker opens, and how many probes it lets out in ten seconds."""
HANDED_OVER = 4
"""How many fetches may be under way at a broker that dies: another one has no way to know their answers."""


def upstream(world: World) -> int:
    """Return how many calls of `TOKENS` there were."""
    calls = Counter(world.wecom.calls())
    return sum(calls[path] for path in TOKENS)


def bound(fault: Fault, seen: Seen) -> int:
    """Return how many calls of `TOKENS` the rules allow.

    A credential is fetched once for the fleet (engine rule 1), or once by each replica that is without the
    store (engine rule 10). A rotation that somebody asks for costs one more, at each replica that is asked.
    """
    parent, tickets = 1, 2 * len(WARM)
    credentials = fault.fetches * (parent + tickets + len(seen.asked))
    return credentials + seen.rotations.made + seen.rotations.repeated + _in_vain(fault, seen)


def _in_vain(fault: Fault, seen: Seen) -> int:
    match fault.vain:
        case Vain.NONE:
            return 0
        case Vain.HANDED_OVER:
            return HANDED_OVER
        case Vain.OUTAGE:
            # Engine rule 7: a fetch repeats its call; a breaker opens, and then lets probes through.
            return BROKERS * (1 + len(PAUSES)) * (FEWEST_FAILURES + UNDER_WAY + PROBES)
        case Vain.DEAD_TOKENS:
            # Engine rule 6: the parent's token is fetched once in a cooldown, the child's for who asks again.
            return seen.cold.repeated + seen.cold.failed.total() + int(fault.seconds / COOLDOWN) + 1
