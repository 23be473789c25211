"""The code behind a value: digests of the statements that a module reaches by its imports.

Only what can change a value counts. Comments, layout, docstrings, log lines, the texts of errors,
the order of statements and the names of modules do not, so a module that is moved, or split
between two functions, leaves the digest as it is.
"""

import ast
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("extract", "train")
_LENGTH = 16


@cache
def import_graph() -> grimp.ImportGraph:
    """Return who imports whom in this project, also inside functions, not for type checkers."""
    return grimp.build_graph(*PACKAGES, cache_dir=None, exclude_type_checking_imports=True)


def closure(entries: Iterable[str]) -> list[str]:
    """Return the entries and all modules of the project that they import, directly or not."""
    graph = import_graph()
    found: set[str] = set()
    for entry in entries:
        found |= {entry} | graph.find_upstream_modules(entry)
    return sorted(found)


def code_digest(modules: Iterable[str]) -> str:
    """Return one digest of all statements of these modules together."""
    found = {digest for module in modules for digest in statements(source_of(module))}
    return _sha("\n".join(sorted(found)))


@cache
def module_digest(module: str) -> str:
    """Return the digest of one module's statements."""
    return _sha("\n".join(sorted(statements(source_of(module)))))[:8]


def source_of(module: str) -> str:
    """Return the text of a module of this project."""
    path = ROOT.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return file.read_text(encoding="utf-8")


def statements(source: str) -> frozenset[str]:
    """Return a digest of each top-level statement that can change a value."""
    tree = _WithoutWords().visit(ast.parse(source))
    return frozenset(_sha(ast.dump(node)) for node in tree.body)


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]


class _WithoutWords(ast.NodeTransformer):
    """Leave out docstrings, log lines, texts of errors, and where internal names come from."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        if isinstance(node.value, ast.Constant) or _is_log_line(node.value):
            return None
        return self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return ast.Raise(exc=error, cause=None)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        if (node.module or "").split(".")[0] not in PACKAGES:
            return node
        renamed = [alias for alias in node.names if alias.asname]
        return ast.ImportFrom(module="", names=renamed, level=0) if renamed else None

    def visit_Import(self, node: ast.Import) -> ast.AST | None:
        names = [alias for alias in node.names if alias.name.split(".")[0] not in PACKAGES]
        return ast.Import(names=names) if names else None


def _is_log_line(node: ast.expr) -> bool:
    """Whether this is a call of a method of `logger`."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "logger"
    )
