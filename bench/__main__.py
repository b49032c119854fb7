"""Run every benchmark, and print one table of their figures; none of them passes or fails.

They run one after the other, each in its own process, so that they do not slow each other down. A module
that is to have rows in the table is named here, and tells them: see `bench.rows`.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import rows

BENCHES = {
    "bench.warm_token": "warm GetAccessToken and SignPage",
    "bench.warm_token_by_certificate": "warm GetAccessToken over mutual TLS",
    "bench.client_warm_read": "smart client, warm read",
    "bench.ingest": "callbacks",
    "bench.herd": "cold herd",
    "bench.peers": "beside others",
    "bench.growth": "what each item costs as children grow",
    "bench.watchers": "10,000 watches",
    "bench.many_credentials": "30,000 credentials: memory, restart, refresh",
}


def main() -> None:
    """Run them."""
    parser = argparse.ArgumentParser(description="Measure the broker on this machine.")
    parser.add_argument("--json", type=Path, default=Path("bench/results.json"), help="where the table goes")
    parser.add_argument("--only", nargs="*", choices=[name.removeprefix("bench.") for name in BENCHES])
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        collected = Path(folder) / "rows"
        collected.touch()
        # The benchmarks start processes while gRPC's threads run; the children call exec at once.
        environment = {**os.environ, "GRPC_ENABLE_FORK_SUPPORT": "0", rows.FILE: str(collected)}
        for module, title in BENCHES.items():
            if chosen.only and module.removeprefix("bench.") not in chosen.only:
                continue
            print(f"— {title} —", flush=True)
            subprocess.run([sys.executable, "-m", module], check=True, env=environment)
            print(flush=True)
        told = rows.told(collected)
    print(rows.table(told))
    rows.write(told, chosen.json)


if __name__ == "__main__":
    main()
