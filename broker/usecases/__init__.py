"""The broker's use cases, one class per file. Depends on ports, not on libraries."""
