"""`[server]`: where the broker listens, and how callers prove who they are."""
