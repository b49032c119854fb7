"""How often the collector of garbage stops every call, and what it need not visit again and again."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

YOUNG, MIDDLE, OLD = 700, 10, 20
"""Full collections are half as many as usual: 3,000 open calls cost 100 ms each time.

Cycles that are given up wait for one: up to 140,000 objects, some 15 MB. With a tenth as many collections it
was 80 MB while strangers sent requests that are no HTTP.
"""


@contextmanager
def spare_what_is_imported() -> Iterator[None]:
    """Collect nothing inside the block: while modules are imported, that takes 80 ms and frees nothing."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def spare_what_stays() -> None:
    """Have collections pass over all that exists now: a full one would stop every call for 50 ms or more.

    What is given up later is still freed, unless it is part of a cycle.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)


def spare_what_was_loaded() -> None:
    """Have collections pass over the fleet's credentials, too: of 30,000 a full one takes 20 ms.

    None of them is part of a cycle, so each is freed once a newer one takes its place.
    """
    gc.freeze()
