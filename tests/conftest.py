"""What holds for all tests."""

import os
import signal

# Tests start processes while gRPC's threads run; the children replace themselves at once. gRPC reads this
# when it is imported, so it stands before every test's own imports.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

# Started in the background, a run ignores SIGINT, and so would all that the tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
