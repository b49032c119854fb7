"""Keep the broker within WeCom's limits, and from repeating what WeCom refused."""
