"""WeCom's rules as pure functions: bytes and values in, values out."""
