"""`simulate`: WeCom on this machine."""
