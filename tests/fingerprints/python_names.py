"""What Python files define, read from their text: nothing is imported, so any Python will do for any host."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ATTRIBUTE = "attribute"
Names = dict[str, "str | list[str]"]
"""Name to `ATTRIBUTE`, or for what can be called to its parameters without defaults: `["p", "steps="]`."""

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_BLOCKS = (ast.If, ast.Try, ast.With, ast.For, ast.While)


def names_in_module(path: Path, *, imported: bool = True) -> Names:
    """Functions with their parameters, classes with those of `__init__`, variables, and imported names."""
    names: Names = {}
    for node in _statements(ast.parse(path.read_text("utf-8")).body):
        if isinstance(node, (ast.Import, ast.ImportFrom)) and not imported:
            continue
        if isinstance(node, _FUNCTIONS):
            names[node.name] = parameters(node)
        elif isinstance(node, ast.ClassDef):
            names[node.name] = _members(node).get("__init__", [])
        else:
            names |= dict.fromkeys(_bound(node), ATTRIBUTE)
    return names


def names_in_class(path: Path, class_name: str) -> Names:
    """Methods, properties, class variables, what any method assigns to `self`, and all of that of its bases.

    Bases are looked for in the same file and in what it imports from the same folder.
    """
    tree = ast.parse(path.read_text("utf-8"))
    for node in _statements(tree.body):
        if isinstance(node, ast.ClassDef) and node.name == class_name:
            names: Names = {}
            for base in reversed(node.bases):
                names |= _names_of_base(path, tree, base)
            return names | _members(node)
        if isinstance(node, ast.Assign) and class_name in _bound(node):
            fields = _namedtuple_fields(node.value)
            return {**dict.fromkeys(fields, ATTRIBUTE), "__init__": ["self", *fields]}
    return {}


def attributes_assigned(path: Path, variable: str) -> set[str]:
    """The attributes that a file gives to `variable`, as `p.seeds = ...` does."""
    return {
        target.attr
        for target in _assigned(ast.parse(path.read_text("utf-8")))
        if isinstance(target.value, ast.Name) and target.value.id == variable
    }


def options_in(path: Path) -> set[str]:
    """Names of the host's settings: keys of dicts whose values are made by `OptionInfo`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and "OptionInfo(" in ast.unparse(value):
                    found.add(str(key.value))
    return found


def command_line_options_in(path: Path) -> set[str]:
    """Attributes of the parsed command line: what `add_argument` names, with underscores."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("add_argument"):
            flags = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
            found |= {str(flag).lstrip("-").replace("-", "_") for flag in flags}
    return found


def calls_in_function(path: Path, function: str) -> list[str]:
    """Names of the methods and functions of modules that a function calls, in the order of its lines."""
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, _FUNCTIONS) and node.name == function:
            calls = [each for each in ast.walk(node) if isinstance(each, ast.Call)]
            found = [
                (each.lineno, each.col_offset, each.func.attr)
                for each in calls
                if isinstance(each.func, ast.Attribute)
            ]
            return list(dict.fromkeys(name for _, _, name in sorted(found)))
    return []


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """`["x/", "p", "steps=", "*args", "*, name", "**kwargs"]`: `/` by position only, `=` has a default."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    required = len(positional) - len(arguments.defaults)
    written = [
        each.arg + ("=" if i >= required else "/" if each in arguments.posonlyargs else "")
        for i, each in enumerate(positional)
    ]
    if arguments.vararg:
        written.append(f"*{arguments.vararg.arg}")
    for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        written.append(f"*, {each.arg}" + ("=" if default else ""))
    if arguments.kwarg:
        written.append(f"**{arguments.kwarg.arg}")
    return written


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a body, those inside `if`, `try` and the like too."""
    for node in body:
        yield node
        if isinstance(node, _BLOCKS):
            handlers = [each.body for each in getattr(node, "handlers", [])]
            for inner in (node.body, getattr(node, "orelse", []), getattr(node, "finalbody", []), *handlers):
                yield from _statements(inner)


def _bound(node: ast.stmt) -> list[str]:
    """The names that a statement gives something to."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [(each.asname or each.name).split(".")[0] for each in node.names]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    flat = [each for target in targets if target for each in ast.walk(target)]
    return [each.id for each in flat if isinstance(each, ast.Name)]


def _assigned(node: ast.AST) -> Iterator[ast.Attribute]:
    """Every attribute that is assigned to somewhere below a node."""
    for each in ast.walk(node):
        if isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store):
            yield each


def _members(node: ast.ClassDef) -> Names:
    names: Names = {}
    for each in _statements(node.body):
        if isinstance(each, _FUNCTIONS):
            decorators = [ast.unparse(one) for one in each.decorator_list]
            is_property = any("property" in one or one.endswith(".setter") for one in decorators)
            names[each.name] = ATTRIBUTE if is_property else parameters(each)
        else:
            names |= dict.fromkeys(_bound(each), ATTRIBUTE)
    own = {each.attr for each in _assigned(node) if ast.unparse(each.value) == "self"} | _buffers(node)
    is_dataclass = any("dataclass" in ast.unparse(one) for one in node.decorator_list)
    if is_dataclass and "__init__" not in names:
        fields = [each for each in node.body if isinstance(each, ast.AnnAssign)]
        names["__init__"] = ["self", *(ast.unparse(each.target) + "=" * bool(each.value) for each in fields)]
    return dict.fromkeys(own - names.keys(), ATTRIBUTE) | names


def _buffers(node: ast.ClassDef) -> set[str]:
    """Names that `self.register_buffer("name", ...)` gives."""
    calls = [each for each in ast.walk(node) if isinstance(each, ast.Call) and each.args]
    named = [each.args[0] for each in calls if ast.unparse(each.func) == "self.register_buffer"]
    return {str(name.value) for name in named if isinstance(name, ast.Constant)}


def _names_of_base(path: Path, tree: ast.Module, base: ast.expr) -> Names:
    module, _, class_name = ast.unparse(base).rpartition(".")
    if not module:
        for node in _statements(tree.body):
            if isinstance(node, ast.ImportFrom) and class_name in _bound(node):
                module = node.module or ""
    file = path.parent / f"{module.split('.')[-1]}.py" if module else path
    is_there = file.is_file() and (file != path or _defines(tree, class_name))
    return names_in_class(file, class_name) if is_there else {}


def _defines(tree: ast.Module, class_name: str) -> bool:
    return any(isinstance(node, ast.ClassDef) and node.name == class_name for node in tree.body)


def _namedtuple_fields(value: ast.expr) -> list[str]:
    is_namedtuple = isinstance(value, ast.Call) and ast.unparse(value.func).endswith("namedtuple")
    if not is_namedtuple or not isinstance(value, ast.Call) or not isinstance(value.args[1], ast.List):
        return []
    return [str(each.value) for each in value.args[1].elts if isinstance(each, ast.Constant)]
