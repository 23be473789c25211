"""ACN's torch dictionary of VGG-16 grids: keys, exactness, and files that are refused."""

import os
import pickle

import numpy as np
import pytest
import torch

from extract.core.errors import DataError, MissingFileError, StoreError
from extract.store import FeatureStore
from extract.tables.rows import ItemFeatures, Outputs
from tests.builders.extract.interop_files import image, rows_of, run_export, run_import, write_store

IDS = ("1015", "0007", "17_06_12.jpg", "42")
IMAGES = [image(i) for i in IDS]
RNG = np.random.default_rng(0)
GRIDS = {i: RNG.random((49, 512), np.float32) for i in IDS[:3]}


def grid_store(path, dtype="float32", images=IMAGES, grids=GRIDS):
    outputs = Outputs(feature_dim=512, feature_dtype=dtype, grid=(7, 7))
    results = {i: ItemFeatures(features=grid) for i, grid in grids.items()}
    return write_store(path, images, results, outputs)


@pytest.mark.parametrize("keys", ["int", "str"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_export_then_import_is_exact(tmp_path, keys, dtype):
    store = grid_store(tmp_path / "a.h5", dtype)
    counts = run_export("vgg_pt", store, tmp_path / "x.pt", IMAGES, keys=keys)
    assert counts == {"images": 3, "left_out": 1}
    counts = run_import("vgg_pt", tmp_path / "x.pt", tmp_path / "b.h5", IMAGES, dtype=dtype)
    assert rows_of(tmp_path / "b.h5") == rows_of(store)
    assert (counts["missing_in_file"], counts["surplus_keys"]) == (1, 0)
    with FeatureStore(tmp_path / "b.h5") as opened, FeatureStore(store) as first:
        assert opened.outputs == first.outputs


def test_the_exported_file_is_what_the_original_reader_wants(tmp_path):
    store = grid_store(tmp_path / "a.h5", "float16")
    run_export("vgg_pt", store, tmp_path / "x.pt", IMAGES)
    content = torch.load(tmp_path / "x.pt", weights_only=True)
    # The original looks ids up as int(id), which is how Python reads 17_06_12, too.
    assert list(content) == [1015, 7, 170612]
    assert all(t.shape == (49, 512) and t.dtype == torch.float32 for t in content.values())
    run_export("vgg_pt", store, tmp_path / "y.pt", IMAGES)
    assert (tmp_path / "x.pt").read_bytes() == (tmp_path / "y.pt").read_bytes()


@pytest.mark.parametrize("new_format", [True, False])
def test_files_as_the_original_writes_them(tmp_path, new_format):
    """Transposed views with gradients, integer keys, and the format before torch 1.6."""
    cells = torch.arange(512 * 49, dtype=torch.float32).reshape(512, 49).requires_grad_()
    content = {1015: cells.transpose(1, 0), 5: torch.zeros(49, 512)}
    torch.save(content, tmp_path / "x.pt", _use_new_zipfile_serialization=new_format)
    counts = run_import("vgg_pt", tmp_path / "x.pt", tmp_path / "b.h5", IMAGES)
    assert (counts["status"]["ok"], counts["surplus_keys"]) == (1, 1)
    with FeatureStore(tmp_path / "b.h5") as store:
        item = store.item("1015")
    # Cell 3 holds channel c at c * 49 + 3.
    assert item.features[3].tolist() == [49.0 * c + 3 for c in range(512)]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_files_stay_exact(tmp_path, dtype):
    grid = torch.rand(49, 512).to(dtype)
    torch.save({"42": grid}, tmp_path / "x.pt")
    run_import("vgg_pt", tmp_path / "x.pt", tmp_path / "b.h5", IMAGES)
    with FeatureStore(tmp_path / "b.h5") as store:
        assert torch.equal(torch.from_numpy(store.item("42").features), grid.float())


def test_files_of_the_splits_together(tmp_path):
    for name, key in (("a.pt", 1015), ("b.pt", 42)):
        torch.save({key: torch.zeros(49, 512)}, tmp_path / name)
    sources = [tmp_path / "a.pt", tmp_path / "b.pt"]
    assert run_import("vgg_pt", sources, tmp_path / "b.h5", IMAGES)["status"]["ok"] == 2
    with pytest.raises(DataError, match=r"a\.pt: image '1015' occurs twice"):
        run_import("vgg_pt", [sources[0], sources[0]], tmp_path / "b.h5", IMAGES)


class Code:
    """Runs a command when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (self.mark,)


def test_pickles_with_code_do_not_run(tmp_path):
    mark = str(tmp_path / "ran")
    (tmp_path / "a.pt").write_bytes(pickle.dumps({1: Code(mark)}))
    torch.save({1: Code(mark)}, tmp_path / "b.pt")
    torch.save({1: Code(mark)}, tmp_path / "c.pt", _use_new_zipfile_serialization=False)
    for name in ("a.pt", "b.pt", "c.pt"):
        with pytest.raises(DataError, match="not a torch file of plain tensors"):
            run_import("vgg_pt", tmp_path / name, tmp_path / "b.h5", IMAGES)
    assert not (tmp_path / "ran").exists()


def test_broken_files_are_refused_at_any_length(tmp_path):
    for new_format in (True, False):
        whole = tmp_path / "x.pt"
        torch.save({1: torch.ones(4, 2)}, whole, _use_new_zipfile_serialization=new_format)
        data = whole.read_bytes()
        for end in range(0, len(data) - 1, 37):
            whole.write_bytes(data[:end])
            with pytest.raises(DataError):
                run_import("vgg_pt", whole, tmp_path / "b.h5", IMAGES, grid=[2, 2])
    with pytest.raises(MissingFileError):
        run_import("vgg_pt", tmp_path / "gone.pt", tmp_path / "b.h5", IMAGES)


GRID = torch.zeros(49, 512)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([GRID], "expected a dictionary, got list"),
        ({}, "expected rows of one width, got no image"),
        ({1.5: GRID}, "keys should be"),
        ({(1, 2): GRID}, "keys should be"),
        ({True: GRID}, "keys should be"),
        ({1: GRID, "1": GRID}, "'1' occurs twice"),
        ({1: [1.0]}, "expected a tensor, got list"),
        ({1: torch.zeros(512, 49)}, r"expected shape \(49, D\), got \(512, 49\)"),
        ({1: torch.zeros(1, 512, 7, 7)}, "expected shape"),
        ({1: torch.zeros(49, 0)}, "expected shape"),
        ({1: torch.zeros(49, 512, dtype=torch.int64)}, "int64"),
        ({1: torch.zeros(49, 512, dtype=torch.float64)}, "float64"),
        ({1: torch.zeros(49, 512).to_sparse()}, "expected a tensor"),
        ({1: GRID, 2: torch.zeros(49, 256)}, r"one width, got \[256, 512\]"),
        ({1015: torch.full((49, 512), float("nan"))}, "image '1015' holds NaN"),
        ({1015: torch.full((49, 512), float("inf"))}, "image '1015' holds NaN or inf"),
    ],
)
def test_other_contents_are_refused(tmp_path, content, message):
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(DataError, match=message):
        run_import("vgg_pt", tmp_path / "x.pt", tmp_path / "b.h5", IMAGES)


def test_values_beyond_float16_are_refused_in_both_directions(tmp_path):
    torch.save({42: torch.full((49, 512), 1e6)}, tmp_path / "x.pt")
    with pytest.raises(StoreError, match=r"item '42'.*not finite as float16"):
        run_import("vgg_pt", tmp_path / "x.pt", tmp_path / "b.h5", IMAGES, dtype="float16")
    run_import("vgg_pt", tmp_path / "x.pt", tmp_path / "b.h5", IMAGES)
    with pytest.raises(StoreError, match=r"image '42': .*too large for float16"):
        run_export("vgg_pt", tmp_path / "b.h5", tmp_path / "y.pt", IMAGES, dtype="float16")
    assert not (tmp_path / "y.pt").exists()


def test_ids_that_are_no_numbers_need_text_keys(tmp_path):
    images, grids = [image("O_3993"), image("1")], {"O_3993": GRIDS["1015"]}
    store = grid_store(tmp_path / "a.h5", images=images, grids=grids)
    with pytest.raises(StoreError, match=r'O_3993.*"keys": "str"'):
        run_export("vgg_pt", store, tmp_path / "x.pt", images)
    run_export("vgg_pt", store, tmp_path / "x.pt", images, keys="str")
    run_import("vgg_pt", tmp_path / "x.pt", tmp_path / "b.h5", images)
    assert rows_of(tmp_path / "b.h5") == rows_of(store)


def test_ids_that_are_one_number_are_refused(tmp_path):
    images = [image("17_06_1"), image("17_061")]
    torch.save({17061: GRID}, tmp_path / "x.pt")
    with pytest.raises(DataError, match="key 17061 could be image '17_06"):
        run_import("vgg_pt", tmp_path / "x.pt", tmp_path / "b.h5", images)
    store = grid_store(tmp_path / "a.h5", images=images, grids={i.image_id: GRID for i in images})
    with pytest.raises(StoreError, match="have key 17061"):
        run_export("vgg_pt", store, tmp_path / "y.pt", images)


def test_a_store_of_something_else_cannot_be_exported(tmp_path):
    images = [image("1")]
    captions = write_store(
        tmp_path / "c.h5", images, {"1": ItemFeatures(text=["x"])}, Outputs(text=True)
    )
    with pytest.raises(StoreError, match="has no features"):
        run_export("vgg_pt", captions, tmp_path / "y.pt", images)
    outputs = Outputs(feature_dim=4)
    regions = {"1": ItemFeatures(features=np.ones((3, 4)))}
    with pytest.raises(StoreError, match="has 3 rows, the grid 49"):
        run_export(
            "vgg_pt",
            write_store(tmp_path / "r.h5", images, regions, outputs),
            tmp_path / "y.pt",
            images,
        )
