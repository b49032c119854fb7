"""What the code looks like in numbers: `python -m bench.numbers [--root CHECKOUT]`.

Counted are the files that people write: no tests, nothing generated. A file's length is all its lines, a
function's is from `def` to its end. Comments, and docstrings with those of attributes, are shares of the lines that
are not blank. A module's fan-out is how many other modules of its package it imports, anywhere in it.
"""

import argparse
import ast
import io
import statistics
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeGuard

PACKAGES = {"broker": "broker", "client": "clients/python/wecom_broker"}


@dataclass
class Numbers:
    """What was counted in a package."""

    files: list[int] = field(default_factory=list)
    functions: list[int] = field(default_factory=list)
    folders: Counter[Path] = field(default_factory=Counter)
    fan_outs: dict[str, int] = field(default_factory=dict)
    filled: int = 0
    comments: int = 0
    docstrings: int = 0


def count(root: Path, folder: str) -> Numbers:
    """Return the numbers of the package in this folder of a checkout."""
    package = root / folder
    sources = [path for path in sorted(package.rglob("*.py")) if package / "v1" not in path.parents]
    modules = {module_name(package, path): path for path in sources}
    numbers = Numbers()
    for name, path in modules.items():
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        lines = text.splitlines()
        numbers.files.append(len(lines))
        numbers.filled += sum(bool(line.strip()) for line in lines)
        numbers.comments += sum(token.type == tokenize.COMMENT for token in tokens(text))
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                numbers.functions.append(length(node))
            elif is_docstring(node):
                numbers.docstrings += length(node)
        numbers.folders[path.parent] += 1
        numbers.fan_outs[name] = len(imported(tree, name, modules, is_package=path.name == "__init__.py"))
    return numbers


def module_name(package: Path, path: Path) -> str:
    """Return the name by which a file is imported."""
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def tokens(text: str) -> Iterator[tokenize.TokenInfo]:
    """Return the source's tokens."""
    return tokenize.generate_tokens(io.StringIO(text).readline)


def is_docstring(node: ast.AST) -> TypeGuard[ast.Expr]:
    """Return whether this is a text that stands alone: a docstring, of an attribute too."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def length(node: ast.stmt) -> int:
    """Return how many lines it takes."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


def imported(tree: ast.Module, name: str, modules: Iterable[str], *, is_package: bool) -> set[str]:
    """Return the modules of the package that a module imports, wherever in it."""
    known = set(modules)
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = name.split(".")[: len(name.split(".")) - node.level + is_package]
                base = ".".join([*parents, *([node.module] if node.module else [])])
            inner = {f"{base}.{alias.name}" for alias in node.names} & known
            # `from package import module` leads to the module, anything else to what is named after `from`.
            found |= inner or {base}
    return (found & known) - {name}


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
    """Return the fullest folder."""
    ((folder, modules),) = numbers.folders.most_common(1)
    return f"{modules} ({folder.relative_to(root).as_posix()})"


def widest(numbers: Numbers) -> str:
    """Return the two modules that import the most."""
    ordered = sorted(numbers.fan_outs.items(), key=lambda item: -item[1])[:2]
    return ", ".join(f"{fan_out} ({name})" for name, fan_out in ordered)


if __name__ == "__main__":
    main()
