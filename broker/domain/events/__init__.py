"""The events that WeCom sends, and the log that keeps them."""
