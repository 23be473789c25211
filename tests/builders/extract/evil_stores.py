"""Changes to a feature file that HDF5 follows and a reader of feature files must not.

Each takes the open file of `write_merged`; SECRET is a file beside it that must never be opened.
"""

from collections.abc import Callable

import h5py
import numpy as np

SECRET = "secret.h5"
HUGE = 10**12


def _replace(name: str, **options: object) -> Callable[[h5py.File], None]:
    """Put another dataset in the place of one."""

    def change(file: h5py.File) -> None:
        old = file[name]
        options.setdefault("shape", old.shape)
        options.setdefault("dtype", old.dtype)
        attributes = dict(old.attrs)
        del file[name]
        new = file.create_dataset(name, **options)
        for key, value in attributes.items():
            new.attrs[key] = value

    return change


def _link(name: str, link: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = link

    return change


def _virtual(file: h5py.File) -> None:
    old = file["rows/features"]
    layout = h5py.VirtualLayout(old.shape, old.dtype)
    layout[:] = h5py.VirtualSource(SECRET, "x", old.shape)
    attributes = dict(old.attrs)
    del file["rows/features"]
    new = file.create_virtual_dataset("rows/features", layout)
    new.attrs.update(attributes)


def _cycle(file: h5py.File) -> None:
    del file["rows/boxes"]
    file["rows/boxes"] = file["rows"]


def _one_string_for_all(file: h5py.File) -> None:
    """Every text is the same long string, which is in the file once."""
    n = len(file["rows/text"])
    del file["rows/text"]
    texts = file.create_dataset("rows/text", (n,), h5py.string_dtype())
    texts[0] = "x" * 60_000
    file.flush()
    offset = texts.id.get_offset()
    with open(file.filename, "r+b") as raw:
        raw.seek(offset)
        one = raw.read(16)
        raw.seek(offset)
        raw.write(one * n)


def _attribute(name: str, value: object, place: str = "/") -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file[place].attrs[name] = value

    return change


def _raw(name: str, values: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file[name][...] = values

    return change


def _committed(file: h5py.File) -> None:
    del file["rows/scores"]
    file["rows/scores"] = np.dtype("f4")


def _references(file: h5py.File) -> None:
    target = file["ids"].ref
    n = len(file["rows/scores"])
    del file["rows/scores"]
    file.create_dataset("rows/scores", data=[target] * n, dtype=h5py.ref_dtype)


def _null_space(file: h5py.File) -> None:
    del file["provenance"]
    file["provenance"] = h5py.Empty("f4")


def _unknown_filter(file: h5py.File) -> None:
    old = file["rows/scores"]
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((1,))
    plan.set_filter(32099, h5py.h5z.FLAG_OPTIONAL)
    space, kind, n = h5py.h5s.create_simple((len(old),)), h5py.h5t.IEEE_F32LE, old.name.encode()
    del file["rows/scores"]
    h5py.h5d.create(file.id, n, kind, space, plan)


# name -> (change, words of the refusal)
EVIL: dict[str, tuple[Callable[[h5py.File], None], str]] = {
    "external link": (_link("rows/text", h5py.ExternalLink(SECRET, "/x")), "an external link"),
    "external group": (_link("rows", h5py.ExternalLink(SECRET, "/")), "an external link"),
    "external extra": (lambda f: f.update(x=h5py.ExternalLink(SECRET, "/x")), "an external link"),
    "soft link": (_link("rows/text", h5py.SoftLink("/ids")), "a soft link"),
    "dangling link": (_link("ids", h5py.SoftLink("/nowhere")), "a soft link"),
    "raw data elsewhere": (
        _replace("rows/scores", external=[(SECRET, 0, h5py.h5f.UNLIMITED)]),
        "data in another file",
    ),
    "virtual dataset": (_virtual, "a virtual dataset"),
    "never written": (_replace("rows/features", shape=(HUGE, 6)), "data nowhere"),
    "chunks": (_replace("rows/features", shape=(HUGE, 6), chunks=(1, 6)), "chunks"),
    "bomb": (_replace("rows/labels", chunks=True, compression="gzip"), "chunks"),
    "filter plugin": (_unknown_filter, "chunks"),
    "cyclic groups": (_cycle, "a Group"),
    "named type": (_committed, "the format's datasets alone"),
    "object references": (_references, "type float32"),
    "no values": (_null_space, "UTF-8 strings"),
    "unknown object": (lambda f: f.create_group("more"), "/more"),
    "ids as numbers": (_replace("ids", dtype="i8", data=None), "/ids: expected type UTF-8"),
    "ids of fixed size": (_replace("ids", dtype="S9"), "/ids: expected type UTF-8"),
    "status as text": (_replace("status", dtype=h5py.string_dtype()), "/status: expected type"),
    "boxes of five": (_replace("rows/boxes", shape=(18, 5), fillvalue=1), "/rows/boxes"),
    "flat features": (_replace("rows/features", shape=(108,)), "/rows/features"),
    "big endian": (_replace("rows/scores", dtype=">f4"), "/rows/scores: expected type float32"),
    "double scores": (_replace("rows/scores", dtype="f8"), "/rows/scores: expected type float32"),
    "negative offsets": (_raw("offsets", -1), "non-decreasing values from 0"),
    "decreasing offsets": (_raw("offsets", [0, 9, *[3] * 11]), "non-decreasing values from 0"),
    "offsets beyond": (_raw("offsets", [0, *[HUGE] * 12]), f"shape ({HUGE}"),
    "one string for all": (_one_string_for_all, "strings inside the file"),
    "n_items as text": (_attribute("n_items", "12"), "attribute n_items: expected one int"),
    "n_items too large": (_attribute("n_items", HUGE), f"shape ({HUGE + 1}), got (13,)"),
    "n_items negative": (_attribute("n_items", -1), "shape (0), got (13,)"),
    "fingerprint as list": (_attribute("fingerprint", ["a", "b"]), "attribute fingerprint"),
    "fingerprint with escapes": (_attribute("fingerprint", "\x1b[2J"), "attribute fingerprint"),
    "huge attribute": (_attribute("id_kind", b"x" * 50_000), "attribute id_kind"),
    "other id_kind": (_attribute("id_kind", "tweet"), "image or sample"),
    "item_shape too large": (_attribute("item_shape", [HUGE], "rows/features"), "item_shape"),
    "item_shape as text": (_attribute("item_shape", "6", "rows/features"), "item_shape"),
    "grid of many": (_attribute("grid", np.ones(500, int), "rows/features"), "grid"),
    "too many labels": (
        _attribute("DIMENSION_LABELS", np.array(["x"] * 99, object), "rows/scores"),
        "one label a dimension",
    ),
}
