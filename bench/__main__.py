"""Run every bench and print its figures; none of them passes or fails.

One after the other, each in a process of its own: together they would measure each other.
"""

import os
import subprocess
import sys

BENCHES = {
    "bench.warm_token": "warm GetAccessToken and SignPage",
    "bench.client_warm_read": "smart client, warm read",
    "bench.herd": "cold herd",
}


def main() -> None:
    """Run them."""
    # The benches start processes while gRPC's threads run; the children replace themselves at once.
    environment = {**os.environ, "GRPC_ENABLE_FORK_SUPPORT": "0"}
    for module, title in BENCHES.items():
        print(f"— {title} —", flush=True)
        subprocess.run([sys.executable, "-m", module], check=True, env=environment)
        print(flush=True)


if __name__ == "__main__":
    main()
