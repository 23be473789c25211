"""Nothing that can run code while it is read: no pickle.load, no np.load, no torch.load of code."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

# joblib, dill, shelve and marshal unpickle, too.
PICKLING = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
READERS = {"load", "loads", "_load", "_loads", "Unpickler", "_Unpickler", "open", "read_pickle"}
NUMPY = {"np", "numpy"}
ALLOWED = {
    # Its find_class answers with dumb placeholders alone.
    ("train/systems/ita/released_checkpoint.py", "pickle._Unpickler"),
}


def unsafe_calls(tree: ast.AST) -> Iterator[str]:
    """Yield the names of readers that can run code, as attributes and as imported names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner, name = node.value.id, node.attr
            if owner in PICKLING and name in READERS:
                yield f"{owner}.{name}"
            if (owner in NUMPY and name == "load") or name == "read_pickle":
                yield f"{owner}.{name}"
        if isinstance(node, ast.ImportFrom):
            names = {alias.name for alias in node.names}
            if node.module in PICKLING and names & READERS:
                yield f"from {node.module} import {', '.join(sorted(names & READERS))}"
            if node.module == "numpy" and "load" in names:
                yield "from numpy import load"
        if isinstance(node, ast.Call) and _is_torch_load(node) and not _is_weights_only(node):
            yield "torch.load"


def _is_torch_load(node: ast.Call) -> bool:
    function = node.func
    return (
        isinstance(function, ast.Attribute)
        and function.attr == "load"
        and isinstance(function.value, ast.Name)
        and function.value.id == "torch"
    )


def _is_weights_only(node: ast.Call) -> bool:
    """Whether `weights_only` is true, or a `pickle_module` of our own unpickles."""
    words = {word.arg: word.value for word in node.keywords}
    only = words.get("weights_only")
    return (isinstance(only, ast.Constant) and only.value is True) or "pickle_module" in words


def test_no_reader_can_run_code(repo_root: Path) -> None:
    found = {
        (path.relative_to(repo_root).as_posix(), call)
        for package in ("extract", "train")
        for path in sorted((repo_root / package).rglob("*.py"))
        for call in unsafe_calls(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert found == ALLOWED


@pytest.mark.parametrize(
    "code",
    [
        "np.load(path)",
        "numpy.load(path, allow_pickle=False)",
        "pickle.load(file)",
        "pickle.loads(data)",
        "pickle._Unpickler(file).load()",
        "pandas.read_pickle(path)",
        "joblib.load(path)",
        "from pickle import load",
        "from numpy import load",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
    ],
)
def test_the_check_sees_unsafe_readers(code: str) -> None:
    assert list(unsafe_calls(ast.parse(code)))
