"""What holds for all tests."""

import os

# Tests start processes while gRPC's threads run; the children replace themselves at once. gRPC reads this
# when it is imported, so it stands before every test's own imports.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
