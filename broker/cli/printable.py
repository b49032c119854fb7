"""Text of others, shown on a terminal."""


def printable(text: str) -> str:
    """Return the text without control characters that a terminal would act on."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
