"""The short cut of calls that repeat. Without this package every call takes the whole chain of the guard."""
