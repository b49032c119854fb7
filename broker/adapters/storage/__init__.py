"""Values encoded and sealed for any store."""
