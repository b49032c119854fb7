"""Print statistics of the code: `python -m bench.numbers [--root CHECKOUT]`.

It counts the files that people write, without tests and generated ones. A file's length is all its lines, a
function's is from `def` to its end. Comments and docstrings (attributes' too) are given as shares of the
lines that are not blank. A module's fan-out is the number of modules of its package that it imports.
"""

import argparse
import ast
import io
import statistics
import tokenize
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeGuard

from tests.architecture.imports import import_graph, sources

PACKAGES = {"broker": "broker", "client": "clients/python/wecom_broker"}


@dataclass
class Numbers:
    """The counts of a package."""

    fan_outs: dict[str, int]
    files: list[int] = field(default_factory=list)
    functions: list[int] = field(default_factory=list)
    folders: Counter[Path] = field(default_factory=Counter)
    filled: int = 0
    comments: int = 0
    docstrings: int = 0


def count(root: Path, folder: str) -> Numbers:
    """Count the package in this folder of a checkout."""
    package = root / folder
    graph = import_graph(package)
    numbers = Numbers(fan_outs={name: len(imported) for name, imported in graph.items()})
    for path in sources(package):
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        numbers.files.append(len(lines))
        numbers.filled += sum(bool(line.strip()) for line in lines)
        numbers.comments += sum(token.type == tokenize.COMMENT for token in tokens(text))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                numbers.functions.append(length(node))
            elif is_docstring(node):
                numbers.docstrings += length(node)
        numbers.folders[path.parent] += 1
    return numbers


def tokens(text: str) -> Iterator[tokenize.TokenInfo]:
    """Return the source's tokens."""
    return tokenize.generate_tokens(io.StringIO(text).readline)


def is_docstring(node: ast.AST) -> TypeGuard[ast.Expr]:
    """Return whether this is a string on its own: a docstring, also of an attribute."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def length(node: ast.stmt) -> int:
    """Return the number of its lines."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


def spread(lengths: Sequence[int]) -> str:
    """Return median, 95th percentile and maximum."""
    percentiles = statistics.quantiles(lengths, n=100, method="inclusive")
    return f"{percentiles[49]:.0f}/{percentiles[94]:.0f}/{max(lengths)}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Print what the code looks like in numbers.")
    parser.add_argument("--root", type=Path, default=Path(__file__).parents[1], help="a checkout")
    root = parser.parse_args().root
    counted = [count(root, folder) for folder in PACKAGES.values()]
    rows: list[tuple[str, list[str]]] = [("", list(PACKAGES))]
    rows += [
        ("files", [str(len(numbers.files)) for numbers in counted]),
        ("lines", [str(sum(numbers.files)) for numbers in counted]),
        ("file median/p95/max", [spread(numbers.files) for numbers in counted]),
        ("function median/p95/max", [spread(numbers.functions) for numbers in counted]),
        ("comment % / doc %", [shares(numbers) for numbers in counted]),
        ("most modules in one folder", [most(numbers, root) for numbers in counted]),
        ("max fan-out, then", [widest(numbers) for numbers in counted]),
        ("pages under docs/", [str(len(list((root / "docs").rglob("*.md")))), "-"]),
    ]
    for title, cells in rows:
        print(f"| {title} | {' | '.join(cells)} |")
        if not title:
            print("|---" * (len(cells) + 1) + "|")


def shares(numbers: Numbers) -> str:
    """Return the shares of comments and docstrings."""
    return f"{100 * numbers.comments / numbers.filled:.1f} / {100 * numbers.docstrings / numbers.filled:.1f}"


def most(numbers: Numbers, root: Path) -> str:
    """Return the folder with the most modules."""
    ((folder, modules),) = numbers.folders.most_common(1)
    return f"{modules} ({folder.relative_to(root).as_posix()})"


def widest(numbers: Numbers) -> str:
    """Return the two modules that import the most."""
    ordered = sorted(numbers.fan_outs.items(), key=lambda item: -item[1])[:2]
    return ", ".join(f"{fan_out} ({name})" for name, fan_out in ordered)


if __name__ == "__main__":
    main()
