"""Events and callbacks of WeCom."""
