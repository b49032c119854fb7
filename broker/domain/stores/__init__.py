"""Where stores are, and how their servers are doing."""
