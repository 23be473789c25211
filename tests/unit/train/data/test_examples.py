"""Examples joined with features: variants, missing ids, batch order."""

import re
from pathlib import Path

import h5py
import numpy as np
import pytest

from extract.core.errors import ConfigError, DataError, MissingFileError, StoreError
from extract.tables.samples import Sample, write_samples
from tests.builders.train.dummy_system import make_samples, write_store
from train.data.batches import eval_batches, length_of
from train.data.derangement import derange
from train.data.examples import FeatureSource, entity_types, read_tagged, without_tags
from train.training.sampling import train_batches, update_parts

SAMPLES = make_samples("train", 20)
IDS = [sample.image_id for sample in SAMPLES]


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    path = tmp_path / "grid.h5"
    write_store(path, IDS, missing=IDS[3:4])
    return path


def test_main_looks_up_the_own_image(grid: Path) -> None:
    with FeatureSource({"grid": grid}) as source:
        examples = source.join(SAMPLES)
        assert len(examples) == len(SAMPLES)
        for index in (0, 5, 19):
            item = examples[index].items["grid"]
            assert item.is_ok and item.text == ("a", IDS[index])
            np.testing.assert_array_equal(item.features, np.full((2, 3), index))
        assert not examples[3].items["grid"].is_ok
        assert examples[3].items["grid"].features.shape == (0, 3)


def test_shuffled_moves_image_and_sample_stores_together(tmp_path: Path, grid: Path) -> None:
    by_sample = tmp_path / "by_sample.h5"
    write_store(by_sample, [sample.id for sample in SAMPLES], id_kind="sample")
    with FeatureSource({"grid": grid, "text": by_sample}, "shuffled") as source:
        examples = list(source.join(SAMPLES))
        again = list(source.join(SAMPLES))
    for own, example, same in zip(SAMPLES, examples, again, strict=True):
        other = example.sample.image_id
        assert other != own.image_id
        assert example.sample.id == own.id and example.sample.tokens == own.tokens
        assert example.items["text"].text[1].replace("train", "train_") + ".jpg" == other
        if example.items["grid"].is_ok:
            assert example.items["grid"].text[1] == other
        assert same.sample == example.sample
    used = [example.sample.image_id for example in examples]
    assert sorted(used) == sorted(IDS)


def test_blank_has_the_columns_but_no_rows(grid: Path) -> None:
    with FeatureSource({"grid": grid}, "blank") as source:
        for example in source.join(SAMPLES):
            item = example.items["grid"]
            assert item.status == 4 and item.n_rows == 0 and item.text == ()
            assert item.features.shape == (0, 3) and item.boxes is None


def test_without_a_role_only_its_store_has_no_rows(tmp_path: Path, grid: Path) -> None:
    crops = tmp_path / "crops.h5"
    write_store(crops, IDS)
    stores = {"grid": grid, "crops": crops}
    with FeatureSource(stores) as main, FeatureSource(stores, "without_crops") as source:
        for whole, example in zip(main.join(SAMPLES), source.join(SAMPLES), strict=True):
            item = example.items["crops"]
            assert item.status == 1 and item.n_rows == 0 and item.reason == "variant without_crops"
            assert item.features.shape == (0, 3)
            left, kept = example.items["grid"], whole.items["grid"]
            np.testing.assert_array_equal(left.features, kept.features)
            assert left.text == kept.text and example.sample == whole.sample


def test_a_role_that_is_not_read_cannot_be_taken_away(grid: Path) -> None:
    with pytest.raises(ConfigError, match=r"no variant 'without_gird'.*mean 'without_grid'"):
        FeatureSource({"grid": grid}, "without_gird")
    with pytest.raises(ConfigError, match="Known: main, shuffled, blank"):
        FeatureSource({}, "without_grid")


@pytest.mark.parametrize("n_shared", [1, 2, 5, 10])
def test_derange_works_with_shared_images(n_shared: int) -> None:
    ids = ["same"] * n_shared + [f"other{i}" for i in range(20 - n_shared)]
    donors = derange(ids)
    assert sorted(donors) == list(range(20))
    assert all(ids[donor] != ids[index] for index, donor in enumerate(donors))


def test_derange_depends_on_the_seed_only() -> None:
    ids = [str(i) for i in range(50)]
    assert derange(ids) == derange(ids) != derange(ids, seed=1)


def test_derange_refuses_the_impossible() -> None:
    with pytest.raises(DataError, match="2 of 3 samples have the image 'a'"):
        derange(["a", "a", "b"])


def test_an_unknown_image_id_names_id_and_rule(grid: Path) -> None:
    stranger = Sample("s1", "17_06_1.jpg", ["x"], ["O"])
    with FeatureSource({"grid": grid}) as source, pytest.raises(StoreError) as caught:
        source.join([*SAMPLES, stranger])
    for part in ("'grid'", "17_06_1.jpg", "s1", "merge_features"):
        assert part in str(caught.value)


def test_another_fingerprint_names_both(grid: Path) -> None:
    with FeatureSource({"grid": grid}) as source:
        source.check_fingerprints({"grid": "f" * 64})
        with pytest.raises(StoreError) as caught:
            source.check_fingerprints({"grid": "e" * 64})
    assert "f" * 64 in str(caught.value) and "e" * 64 in str(caught.value)


def test_a_missing_store_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"none\.h5.*'grid'"):
        FeatureSource({"grid": tmp_path / "none.h5"})


def test_entity_types_are_in_the_usual_order() -> None:
    tags = ["B-ORG", "I-ORG", "B-ZOO", "B-LOC", "O", "B-ART", "B-PER"]
    assert entity_types([Sample("1", "1", ["x"] * 7, tags)]) == ["PER", "LOC", "ORG", "ART", "ZOO"]


def test_untagged_or_empty_files_are_refused(tmp_path: Path) -> None:
    write_samples(tmp_path / "train.jsonl", without_tags(SAMPLES))
    write_samples(tmp_path / "valid.jsonl", [])
    with pytest.raises(DataError, match="train0 has no tags"):
        read_tagged(tmp_path / "train.jsonl")
    with pytest.raises(DataError, match="no sample"):
        read_tagged(tmp_path / "valid.jsonl")


@pytest.mark.parametrize("buckets", [True, False])
def test_train_batches_hold_each_sample_once(buckets: bool) -> None:
    def batches(seed: int) -> list[list[int]]:
        return train_batches(SAMPLES, 3, np.random.default_rng(seed), buckets=buckets)

    flat = [index for batch in batches(1) for index in batch]
    assert sorted(flat) == list(range(20))
    assert batches(1) == batches(1) != batches(2)
    assert [len(batch) for batch in batches(1)].count(3) == 6


def test_buckets_waste_less_padding() -> None:
    samples = [Sample(str(i), "x", ["w"] * n) for i, n in enumerate(range(1, 401))]

    def padding(buckets: bool) -> int:
        batches = train_batches(samples, 8, np.random.default_rng(0), buckets=buckets)
        lengths = [[length_of(samples[index]) for index in batch] for batch in batches]
        return sum(len(batch) * max(batch) - sum(batch) for batch in lengths)

    assert padding(True) < padding(False) / 10


def test_eval_batches_cover_all_and_start_long() -> None:
    batches = eval_batches(SAMPLES, 6)
    assert sorted(index for batch in batches for index in batch) == list(range(20))
    assert len(SAMPLES[batches[0][0]].tokens) == 7


@pytest.mark.parametrize("n_batches", [1, 7, 8, 12])
@pytest.mark.parametrize(
    ("accumulation", "world"), [(1, 1), (3, 1), (1, 2), (2, 2), (1, 3), (2, 4)]
)
def test_processes_share_the_updates_of_one_process_that_accumulates_more(
    n_batches: int, accumulation: int, world: int
) -> None:
    batches = [[index] for index in range(n_batches)]
    alone = update_parts(batches, accumulation * world)
    shares = [update_parts(batches, accumulation, rank=rank, world=world) for rank in range(world)]
    assert {len(mine) for mine in shares} == {len(alone)}
    for whole, *parts in zip(alone, *shares, strict=True):
        assert all(parts), "every process takes part in every update"
        counted = [part for mine in parts for part in mine if part.is_counted]
        assert sorted(part.indices for part in counted) == [part.indices for part in whole]
        # The mean over the processes of what each adds is the mean over all batches.
        assert sum(1 / part.divisor for part in counted) / world == pytest.approx(1.0)
    assert [part.divisor for part in alone[0]] == [len(alone[0])] * len(alone[0])


def flip_last_feature(path: Path) -> None:
    with h5py.File(path) as file:
        features = file["rows/features"]
        place = features.id.get_offset() + features.nbytes - 1
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def test_a_run_refuses_a_store_with_a_flipped_bit(
    grid: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flip_last_feature(grid)
    with pytest.raises(StoreError, match=r"grid\.h5.*/rows/features does not match.*Delete"):
        FeatureSource({"grid": grid})
    # One process of several checks for all.
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    with FeatureSource({"grid": grid}) as source:
        assert len(source.join(SAMPLES)) == len(SAMPLES)


def test_the_check_says_what_it_cost(grid: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with FeatureSource({"grid": grid}):
        assert re.search(r"grid\.h5: checksums of \d+ MB match \(\d+\.\d s\)", caplog.text)
