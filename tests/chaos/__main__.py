"""Run the matrix, or the cells that are named, and print it: `make chaos`."""

import argparse
import asyncio
import sys
import time

from tests.chaos.cell import run
from tests.chaos.faults import FAULTS
from tests.chaos.table import CAPTION, head, row


def main() -> int:
    """Return 1 if some cell is not as promised."""
    parser = argparse.ArgumentParser(prog="make chaos")
    parser.add_argument("cells", nargs="*", choices=[[], *FAULTS], metavar="CELL", help=", ".join(FAULTS))
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10_000)
    options = parser.parse_args()
    print(f"{CAPTION}\n\n{head()}", flush=True)
    failed = False
    for name in options.cells or FAULTS:
        if lacking := FAULTS[name].needs.lacking:
            print(f"{name}: not run, this machine lacks {lacking}", flush=True)
            continue
        verdict = asyncio.run(run(FAULTS[name], options.seed))
        print(row(verdict), flush=True)
        for problem in verdict.problems:
            failed = True
            print(f"    {problem}; again: make chaos ARGS='--seed {verdict.seed} \"{name}\"'", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
