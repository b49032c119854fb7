"""What is remembered of WeCom's refusals: who met them, what clears them, and how they are forgotten."""
