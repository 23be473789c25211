"""The licences of all dependencies: `python envs/third_party.py` writes envs/THIRD_PARTY.md.

Packages and versions are those of the lock files; licences are what the installed packages say of
themselves. A locked package that is not installed (it is for another platform or another Python)
keeps the licence that the list has for its name.
"""

import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIST = HERE / "THIRD_PARTY.md"
OWN = "mner-pipeline"
NOT_STATED = "not stated in its metadata"
NOT_INSTALLED = "for another platform or Python: see its own page"
NOTES = {
    # Its COPYING.rst puts one file under the GPL: tools/editors/emacs/rst.el, in no wheel.
    "docutils": "public domain, BSD-2-Clause",
}
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ \\;]+)")
_VIA = re.compile(r"^ +#(?: via)? +([A-Za-z0-9._-]+)")
_LONGEST = 60

HEAD = """# Third-party packages

Written by `make licences` from the metadata of the packages in `envs/*.lock`. `extras` are those of
`pyproject.toml` that bring a package ("core": the package itself needs it). `make demo` installs
what {default} bring; `dev` is for tests.

- **ultralytics** (AGPL-3.0) and its own packages come with the extra `yolo` alone, which is
  optional: `make demo` does not install it, and one file imports it
  (`extract/grounding/yolo_world.py`).
- **Tesseract** (Apache-2.0) is a program, called by the extractor `ocr`; it comes from the system's
  packages or from conda-forge.
- The `nvidia-*` packages are proprietary: torch for Linux with CUDA depends on them.

| package | version | licence | extras |
| --- | --- | --- | --- |
"""


@dataclass(frozen=True)
class Package:
    """One pinned version."""

    name: str
    version: str
    needed_by: frozenset[str]
    """Packages that depend on it."""


def read_lock(path: Path) -> list[Package]:
    """Return the pinned packages of a lock file, in its order."""
    found: list[tuple[str, str, set[str]]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        pin, via = _PIN.match(line), _VIA.match(line)
        if pin:
            found.append((pin[1], pin[2], set()))
        elif via and found:
            found[-1][2].add(via[1])
    return [Package(name, version, frozenset(parents)) for name, version, parents in found]


def normal(requirement: str) -> str:
    """Return the normal form of the name in a requirement (PEP 503)."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    return re.sub(r"[-_.]+", "-", name[0] if name else requirement).lower()


def direct_requirements() -> dict[str, list[str]]:
    """Return extra -> names that pyproject.toml asks for; `core` is no extra."""
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = {"core": project["dependencies"], **project["optional-dependencies"]}
    return {extra: [normal(name) for name in names] for extra, names in groups.items()}


def extras_of(packages: Iterable[Package]) -> dict[str, list[str]]:
    """Return package name -> the extras that bring it, itself or through others."""
    parents: dict[str, set[str]] = {}
    for package in packages:
        parents.setdefault(package.name, set()).update(package.needed_by - {OWN})
    found: dict[str, list[str]] = {name: [] for name in parents}
    for extra, names in direct_requirements().items():
        brought = set(names)
        while more := {n for n, above in parents.items() if above & brought} - brought:
            brought |= more
        for name in brought & found.keys():
            found[name].append(extra)
    return found


def licence(package: Distribution) -> str:
    """Return what a package says its licence is, in as few words as it does."""
    data = package.metadata
    if data.get("License-Expression"):
        return data["License-Expression"]
    short = (data.get("License") or "").strip()
    named = [c.rpartition(" :: ")[2] for c in data.get_all("Classifier") or [] if "License ::" in c]
    if named:
        return ", ".join(named)
    if short and len(short) <= _LONGEST and "\n" not in short:
        return short
    return _first_line(package, short) or NOT_STATED


def _first_line(package: Distribution, text: str) -> str:
    """Return the title of a licence text: the field's, or that of a file of the package."""
    names = package.metadata.get_all("License-File") or []
    texts = [text, *(package.read_text(f"licenses/{name}") or "" for name in names)]
    texts += [package.read_text(name) or "" for name in ("LICENSE", "LICENSE.txt")]
    for found in texts:
        title = re.search(r"^.*\b(?:MIT|BSD|Apache)\b.*$", found[:400], re.MULTILINE)
        if title:
            return title[0].strip()[:_LONGEST]
    return ""


def known_licences() -> dict[str, str]:
    """Return package -> licence of the list as it is."""
    if not LIST.is_file():
        return {}
    rows = re.findall(r"^\| (\S+) \| \S+ \| (.*?) \|", LIST.read_text("utf-8"), re.MULTILINE)
    return dict(rows)


def find_licence(name: str, known: Mapping[str, str]) -> str:
    """Return the licence of a package: installed, else as it is listed."""
    if name in NOTES:
        return NOTES[name]
    try:
        return licence(distribution(name))
    except PackageNotFoundError:
        return known.get(name, NOT_INSTALLED)


def make_list() -> str:
    """Return the text of THIRD_PARTY.md."""
    packages = read_lock(HERE / "test.lock")
    extras, known = extras_of(packages), known_licences()
    default = [e for e in direct_requirements() if e not in ("core", "yolo", "dev")]
    names = ", ".join(f"`{extra}`" for extra in default[:-1]) + f" and `{default[-1]}`"
    rows = [
        f"| {p.name} | {p.version} | {find_licence(p.name, known)} | {', '.join(extras[p.name])} |"
        for p in packages
    ]
    return HEAD.format(default=names) + "\n".join(rows) + "\n"


if __name__ == "__main__":
    LIST.write_text(make_list(), encoding="utf-8")
    sys.stdout.write(f"{LIST}\n")
