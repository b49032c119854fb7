"""The gRPC server: who calls, what it may do, and how errors leave."""
