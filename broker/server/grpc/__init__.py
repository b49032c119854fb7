"""The gRPC server: identity, rights, and the statuses of errors."""
