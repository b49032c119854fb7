"""Run every benchmark and print its figures; none of them passes or fails.

They run one after the other, each in its own process, so that they do not slow each other down.
"""

import os
import subprocess
import sys

BENCHES = {
    "bench.warm_token": "warm GetAccessToken and SignPage",
    "bench.warm_token_by_certificate": "warm GetAccessToken over mutual TLS",
    "bench.client_warm_read": "smart client, warm read",
    "bench.herd": "cold herd",
}


def main() -> None:
    """Run them."""
    # The benchmarks start processes while gRPC's threads run; the children call exec at once.
    environment = {**os.environ, "GRPC_ENABLE_FORK_SUPPORT": "0"}
    for module, title in BENCHES.items():
        print(f"— {title} —", flush=True)
        subprocess.run([sys.executable, "-m", module], check=True, env=environment)
        print(flush=True)


if __name__ == "__main__":
    main()
