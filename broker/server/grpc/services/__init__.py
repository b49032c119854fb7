"""The gRPC services, one module each: messages in, a use case, messages out."""
