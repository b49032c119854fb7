"""What the broker promises, one class a file. Depends on ports; knows no library."""
