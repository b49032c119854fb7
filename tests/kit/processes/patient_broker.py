"""`wecom-broker` for tests without an outage of Redis: one that a busy machine holds up is not away.

A broker gives Redis a second to answer, then goes on without it, and then each replica fetches for itself.
"""

from broker.adapters.redis.servers import port
from broker.cli import main

port.ANSWER_SECONDS = 15.0

main()
