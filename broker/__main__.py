"""`python -m broker …` is `wecom-broker …`."""

from broker.cli import main

main()
