"""Run every bench and print its figures; none of them passes or fails."""

import asyncio

from bench import client_warm_read, herd, warm_token


def main() -> None:
    """Run them one after the other: together they would measure each other."""
    print("— warm GetAccessToken —")
    warm_token.run()
    print("\n— smart client, warm read —")
    asyncio.run(client_warm_read.main())
    print("\n— cold herd —")
    herd.run()


if __name__ == "__main__":
    main()
