"""Benchmarks, most of which give a ratio within one run. `make bench` runs all of them."""
