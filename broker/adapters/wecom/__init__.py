"""WeCom over HTTPS."""
