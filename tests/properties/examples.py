"""How many random programs a property is tried with."""

import os

MANY = int(os.environ.get("EXAMPLES", "50"))
"""`make fuzz` tries many more. What is `derandomize`d besides is the same in every run."""
