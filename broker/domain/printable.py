"""Text of others, shown to people."""


def printable(text: str) -> str:
    """Return the text without the control characters that a terminal or a browser would act on."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
