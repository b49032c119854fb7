"""Which module imports which, as the sources say: wherever an import stands, in a function too."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

Graph = Mapping[str, frozenset[str]]


def sources(package: Path) -> list[Path]:
    """Return the files of a package that people write; `v1` is generated."""
    return [path for path in sorted(package.rglob("*.py")) if package / "v1" not in path.parents]


def import_graph(package: Path) -> Graph:
    """Return the modules of a package by name, each with the others that it imports."""
    modules = {_name(package, path): path for path in sources(package)}
    return {
        name: frozenset(_imported(path, name, modules)) & modules.keys() - {name}
        for name, path in modules.items()
    }


def circles(graph: Graph) -> list[list[str]]:
    """Return the modules that import each other, directly or by others."""
    below = {name: _reached(graph, name) for name in graph}
    together = {tuple(sorted(other for other in below[name] if name in below[other])) for name in graph}
    return [list(names) for names in sorted(together) if names]


def _reached(graph: Graph, name: str) -> set[str]:
    reached: set[str] = set()
    ahead = set(graph[name])
    while ahead:
        reached |= ahead
        ahead = {further for other in ahead for further in graph[other]} - reached
    return reached


def _name(package: Path, path: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(path: Path, name: str, modules: Mapping[str, Path]) -> Iterator[str]:
    here = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = here[: len(here) - node.level + 1] if node.level else []
            base = ".".join([*parents, *filter(None, [node.module])])
            # `from package import name` imports a module of that name, or something in the package itself.
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield inner if inner in modules else base
