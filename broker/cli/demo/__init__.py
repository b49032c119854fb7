"""`demo` and `dev`: a broker and a simulated WeCom together, to watch or to try."""
