"""Small feature files with every column, for the tests of the store."""

from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
import numpy as np

from extract.store import FeatureWriter, Header, StoredItem, merge_shards
from extract.store.seal import write_seal
from extract.tables.images_table import ImageRow
from extract.tables.rows import STATUS, ItemFeatures, Outputs, nothing_found

FULL = Outputs(
    feature_dim=6,
    feature_dtype="float16",
    item_shape=(2, 3),
    grid=(1, 2),
    text=True,
    boxes=True,
    scores=True,
    labels=("person", "žena", "犬"),
)

# An id is data: none of these may be taken for a group, a path or a number.
IDS = ("a/b/c.jpg", "..", ".", "17_06_1", "0015", "O_3993", "日本.語", "😀/😀", "with space", "x")

COLUMNS = ("features", "text", "boxes", "scores", "labels")


def make_ids(n: int) -> tuple[str, ...]:
    """The difficult ids first, then as many plain ones as asked for."""
    return (*IDS, *(f"image_{i}" for i in range(n)))[:n]


def make_item(i: int, outputs: Outputs = FULL) -> ItemFeatures:
    """The rows of item i: 0 to 3 of them, by arithmetic that no library version changes."""
    r = (2, 0, 1, 3)[i % 4]
    if r == 0:
        # Every kind of "not ok" takes its turn.
        status = ("missing", "unreadable", "nothing_found", "no_images")[i // 4 % 4]
        empty = nothing_found(f"because {i} — né", outputs)
        return ItemFeatures(**{**vars(empty), "status": STATUS[status]})
    numbers = np.arange(r * 6, dtype=np.float32).reshape(r, 6) * 0.37 + i
    corner = numbers[:, :2]
    scores = (numbers[:, 0] % 1).astype(np.float32)
    scores[0] = np.nan if i % 3 == 0 else scores[0]
    columns = {
        "features": numbers % 5 - 2.5,
        "text": [f"text {i}.{j} ✓ naïve\n" for j in range(r - 1)] + [""],
        "boxes": np.concatenate([corner, corner + 1 + i], axis=1),
        "scores": scores,
        "labels": (np.arange(r) + i) % 3,
    }
    present = {
        "features": outputs.feature_dim,
        "text": outputs.text,
        "boxes": outputs.boxes,
        "scores": outputs.scores,
        "labels": outputs.labels,
    }
    return ItemFeatures(**{name: value for name, value in columns.items() if present[name]})


def make_header(ids: Sequence[str], outputs: Outputs = FULL, fingerprint: str = "f" * 64) -> Header:
    """A header whose checksums and sizes follow from the ids' places."""
    return Header(
        fingerprint=fingerprint,
        outputs=outputs,
        ids=tuple(ids),
        input_sha256=tuple(f"input of {image_id}" for image_id in ids),
        image_size=np.array([(50 + len(i), 60) for i in ids], np.int32).reshape(-1, 2),
    )


def make_images(ids: Sequence[str]) -> list[ImageRow]:
    """The manifest that `make_header` fits."""
    return [ImageRow(i, f"images/{i}", "0", 50 + len(i), 60, "ok") for i in ids]


def write_shard(
    path: Path, header: Header, results: Sequence[ItemFeatures], batch_size: int = 3
) -> Path:
    """Write a finished shard in batches."""
    writer = FeatureWriter(path.with_name(path.name + ".partial"), header)
    for start in range(0, len(results), batch_size):
        writer.append(results[start : start + batch_size])
    writer.finish(path, {"spec": {"name": "full"}})
    return path


def write_merged(path: Path, n: int = 10, outputs: Outputs = FULL) -> Path:
    """Write a merged file of n items."""
    ids = make_ids(n)
    results = [make_item(i, outputs) for i in range(n)]
    shard = write_shard(path.with_suffix(".shard"), make_header(ids, outputs), results)
    merge_shards([shard], path, ids=ids)
    return path


def change_file(path: Path, change: Callable[[h5py.File], object]) -> None:
    """Change a feature file as another program could that also seals it."""
    with h5py.File(path, "r+") as file:
        change(file)
    with path.open("r+b") as file:
        write_seal(file, [])


def assert_holds(item: StoredItem, expected: ItemFeatures, outputs: Outputs = FULL) -> None:
    """The stored item is what was given, in the declared types."""
    assert item.status == expected.status
    assert item.reason == expected.reason
    assert item.n_rows == expected.n_rows
    assert item.is_ok == (expected.n_rows > 0)
    dtypes = {"features": outputs.feature_dtype, "labels": "int32"}
    for name in COLUMNS:
        found, given = getattr(item, name), getattr(expected, name)
        if given is None:
            assert found is None
        elif name == "text":
            assert found == tuple(given)
        else:
            given = np.asarray(given, dtypes.get(name, "float32"))
            assert found.dtype == given.dtype
            assert found.shape == given.shape
            np.testing.assert_array_equal(found, given)


def read_all(path: Path) -> dict[str, list]:
    """Every dataset of a file but its provenance, as lists: equal for equal content."""
    content: dict[str, list] = {}
    with h5py.File(path, "r") as file:

        def visit(name: str, node: h5py.Dataset | h5py.Group) -> None:
            if isinstance(node, h5py.Dataset) and name != "provenance":
                values = node[:]
                if values.dtype.kind == "f":
                    # NaN is not equal to itself, its bits are.
                    values = values.view(f"u{values.dtype.itemsize}")
                content[name] = values.tolist()

        file.visititems(visit)
    return content
