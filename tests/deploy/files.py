"""The files of the deployment, and pieces of them; read as text, for no YAML library is needed otherwise."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def blocks(text: str, under: str) -> dict[str, str]:
    """Return the entries of a top-level mapping of a YAML file, each with the lines below it."""
    section = re.split(rf"^{under}:$", text, flags=re.MULTILINE)[1]
    section = re.split(r"^\S", section, maxsplit=1, flags=re.MULTILINE)[0]
    parts = re.split(r"^  ([\w-]+):", section, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def switched_on(text: str) -> str:
    """Return the text with what is switched off in it: lines that begin with `#` and no space."""
    return re.sub(r"^#(?=\S)", "", text, flags=re.MULTILINE)
