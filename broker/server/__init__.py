"""The gRPC and HTTP servers: they parse a request, pass it to one use case, and answer."""
