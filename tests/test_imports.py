"""How far a reader has to go: the chains of imports through the project that loading a file follows."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = ("motion_module", "animatediff_webui", "demo_model", "standalone", "scripts")
LONGEST = 10
FACES = {"motion_module", "animatediff_webui.media"}
"""Packages that pass on the names of others, for users: everything here imports from where a name is."""


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


FILES = {module_name(path): path for room in ROOMS for path in (ROOT / room).rglob("*.py")}


def executed(statements: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that importing a file executes, whatever its conditions say; not those for types."""
    for statement in statements:
        is_for_types = isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test)
        if is_for_types or isinstance(statement, ast.FunctionDef):
            continue
        yield statement
        for block in ("body", "orelse", "finalbody"):
            yield from executed(getattr(statement, block, []))


def imported(name: str, statement: ast.stmt) -> set[str]:
    """The project's modules that a statement of module `name` imports."""
    if isinstance(statement, ast.Import):
        return {each.name for each in statement.names} & set(FILES)
    if not isinstance(statement, ast.ImportFrom):
        return set()
    is_package = FILES[name].name == "__init__.py"
    here = name.split(".")[: len(name.split(".")) + is_package - statement.level]
    base = ".".join([*(here if statement.level else []), *([statement.module] if statement.module else [])])
    members = {f"{base}.{each.name}" for each in statement.names}
    return (members & set(FILES)) or ({base} & set(FILES))


@cache
def imports(name: str) -> frozenset[str]:
    statements = executed(ast.parse(FILES[name].read_text("utf-8")).body)
    found = [imported(name, statement) for statement in statements]
    return frozenset(set().union(*found) - {name})


@cache
def longest_chain(name: str) -> tuple[str, ...]:
    return (name, *max(map(longest_chain, imports(name)), key=len, default=()))


def test_no_chain_of_imports_is_longer_than_ten_modules():
    longest = max(map(longest_chain, FILES), key=len)
    assert len(longest) <= LONGEST, " -> ".join(longest)


def test_names_are_imported_from_where_they_are():
    through_faces = {name for name in FILES if imports(name) & FACES} - {"scripts.animatediff"}
    assert through_faces == set()
