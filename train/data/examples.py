"""Samples joined with what the feature stores hold for their images.

The variants (train/data/variants.py) differ here and nowhere else, so a system cannot treat them
differently: `main` looks up a sample's own image; `shuffled` another sample's, the same one in
every store; `blank` nothing (status 4, zero rows); `without_<role>` nothing in the store of that
role (status 1, zero rows).
"""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from torch import Tensor
from torch.utils.data import Dataset

from extract.core.digests import digest
from extract.core.errors import DataError, MissingFileError, MnerError, StoreError
from extract.core.launch import is_first_process
from extract.store import FeatureStore, StoredItem, check_bytes
from extract.tables.rows import STATUS
from extract.tables.samples import Sample, iter_samples, pack_samples
from extract.tables.tags import split_tag
from train.data.derangement import derange
from train.data.variants import absent_roles, check_variant


@dataclass(frozen=True)
class Example:
    """One sample with what the feature stores hold for its image, by role."""

    sample: Sample
    items: dict[str, StoredItem]
    """Role -> item; an item that is not ok has zero rows, never a stand-in."""


@dataclass
class ModelOutput:
    """Result of one forward pass.

    Attributes:
        loss: scalar, mean over sentences; None when the batch has no gold tags.
        emissions: shape (B, W, K), float32, of the headline view.
        mask: shape (B, W), bool, true on real tokens, a prefix of each row.
        parts: named scalars that add up to the loss, for the log.
    """

    loss: Tensor | None
    emissions: Tensor
    mask: Tensor
    parts: dict[str, Tensor] = field(default_factory=dict)


logger = logging.getLogger(__name__)


TYPE_ORDER = ("PER", "LOC", "ORG", "MISC")
"""The customary order; other types follow alphabetically."""


def read_tagged(path: Path) -> list[Sample]:
    """Read samples that all have gold tags.

    Raises:
        DataError: no sample, a sample without tokens, or one without tags.
    """
    return list(iter_tagged(path))


def iter_tagged(path: Path) -> Iterator[Sample]:
    """Yield the samples of a file, see `read_tagged`."""
    is_empty = True
    for sample in iter_samples(path):
        if sample.tags is None:
            raise DataError(f"{path}: sample {sample.id} has no tags; use tagged samples.")
        if not sample.tokens:
            raise DataError(f"{path}: sample {sample.id} has no tokens.")
        is_empty = False
        yield sample
    if is_empty:
        raise DataError(f"{path}: no sample. Training and evaluation need at least one.")


def read_training(folder: Path, gold: str) -> tuple[Sequence[Sample], Sequence[Sample]]:
    """Read train and valid, packed, with one of their golds as their tags.

    Args:
        folder: of train.jsonl and valid.jsonl.
        gold: `original`, or `repaired` (after the dataset's label corrections).

    Raises:
        DataError: as `read_tagged`; or the repaired gold is asked for where nothing is repaired.
    """
    paths = (Path(folder) / f"{split}.jsonl" for split in ("train", "valid"))
    train, valid = (pack_samples(iter_tagged(path)) for path in paths)
    if gold == "original":
        return train, valid
    if all(sample.repaired_tags is None for sample in chain(train, valid)):
        raise DataError(
            f"{folder}: no sample of train or valid has repaired tags, but the recipe says `gold: "
            "repaired`. Set `repairs` of the dataset to a file that corrects them."
        )
    return with_repaired_gold(train), with_repaired_gold(valid)


def with_repaired_gold(samples: Iterable[Sample]) -> list[Sample]:
    """Return the samples with their tags after label corrections as their tags."""
    return [replace(s, tags=s.gold_after_repairs, repaired_tags=None) for s in samples]


def entity_types(samples: Iterable[Sample]) -> list[str]:
    """Return the entity types of the tags: PER LOC ORG MISC first, then others by name."""
    found = {split_tag(tag)[1] for sample in samples for tag in sample.tags or []} - {""}
    usual = [name for name in TYPE_ORDER if name in found]
    return usual + sorted(found - set(usual))


def without_tags(samples: Iterable[Sample]) -> list[Sample]:
    """Return the samples as a model meets them at prediction time."""
    return [replace(sample, tags=None, repaired_tags=None) for sample in samples]


class FeatureSource(AbstractContextManager):
    """The open feature stores of a run, by role.

    Args:
        paths: role -> store file.
        variant: see `train.data.variants`.

    Raises (on construction):
        ConfigError: the variant takes a role away that is not among the paths.
        MissingFileError: a store is not there.
        StoreError: a store changed since it was written.
    """

    def __init__(self, paths: Mapping[str, Path], variant: str = "main") -> None:
        check_variant(variant, paths, "variant")
        self.variant = variant
        self._stack = ExitStack()
        self.stores: dict[str, FeatureStore] = {}
        for role, path in sorted(paths.items()):
            if not Path(path).is_file():
                self._stack.close()
                raise MissingFileError(
                    f"{path}: no such feature store (role '{role}'). The rule merge_features makes "
                    "it; `snakemake features` makes all of them."
                )
            self.stores[role] = self._stack.enter_context(FeatureStore(path))
        try:
            check_stores(paths.values())
        except MnerError:
            self._stack.close()
            raise
        self._absent = {
            role: absent_item(self.stores[role], variant) for role in absent_roles(variant, paths)
        }

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    @property
    def fingerprints(self) -> dict[str, str]:
        """Role -> fingerprint of its store."""
        return {role: store.fingerprint for role, store in self.stores.items()}

    @property
    def input_digests(self) -> dict[str, str]:
        """Role -> digest of the ids and input checksums of its store."""
        return {role: digest(store.input_sha256()) for role, store in self.stores.items()}

    def check_fingerprints(self, expected: Mapping[str, str]) -> None:
        """Check that the stores are of the kind that a run was trained on.

        Raises:
            StoreError: a fingerprint differs.
        """
        for role, fingerprint in self.fingerprints.items():
            if fingerprint != expected.get(role):
                raise StoreError(
                    f"store '{role}': its fingerprint is {fingerprint}, but the run was trained on "
                    f"{expected.get(role)}. Extract the features with the same spec, or train "
                    "anew on these."
                )

    def join(self, samples: Sequence[Sample]) -> "ExampleDataset":
        """Return the examples of one split; features are read when an example is asked for.

        Raises:
            StoreError: an image (or sample) id is not in a store.
        """
        keys = samples
        if self.variant == "shuffled" and self.stores:
            donors = derange([sample.image_id for sample in samples])
            keys = pack_samples(samples[index] for index in donors)
        for role, store in self.stores.items():
            for key in keys:
                if _key(store, key) not in store:
                    raise StoreError(
                        f"store '{role}': no {store.id_kind} {_key(store, key)!r} (sample "
                        f"{key.id}) among its {len(store)}. It was made from other samples: run "
                        "the rules prepare_dataset and merge_features again."
                    )
        return ExampleDataset(samples, keys, self)

    def lookup(self, key: Sample) -> dict[str, StoredItem]:
        """Return role -> item of one sample's image."""
        return {
            role: self._absent[role] if role in self._absent else store.item(_key(store, key))
            for role, store in self.stores.items()
        }


def _key(store: FeatureStore, sample: Sample) -> str:
    return sample.id if store.id_kind == "sample" else sample.image_id


def absent_item(store: FeatureStore, variant: str) -> StoredItem:
    """Return an item without rows that has the columns of the store."""
    status = STATUS["no_images" if variant == "blank" else "missing"]
    return store.empty_item(status, f"variant {variant}")


class ExampleDataset(Dataset):
    """The examples of one split, in the order of its samples.

    Args:
        samples: what the model is to tag.
        keys: the sample whose image stands for each of them; the same unless shuffled.
        source: the open stores.
    """

    def __init__(
        self, samples: Sequence[Sample], keys: Sequence[Sample], source: FeatureSource
    ) -> None:
        pairs = zip(samples, keys, strict=True)
        # Packed: worker processes would copy every object that they look at.
        self.samples = pack_samples(replace(s, image_id=key.image_id) for s, key in pairs)
        self._keys = pack_samples(Sample(key.id, key.image_id, []) for key in keys)
        self._source = source

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Example:
        return Example(self.samples[index], self._source.lookup(self._keys[index]))

    def __iter__(self) -> Iterator[Example]:
        return (self[index] for index in range(len(self)))


def check_stores(paths: Iterable[Path]) -> None:
    """Compare stores with their checksums, in the first of several processes alone.

    Raises:
        MissingFileError: a store is not there.
        StoreError: a store changed since it was written, or was never merged.
    """
    if not is_first_process():
        return
    for path in sorted({Path(path) for path in paths}):
        started = time.monotonic()
        check_bytes(path)
        logger.info(
            "%s: checksums of %.0f MB match (%.1f s)",
            path, path.stat().st_size / 2**20, time.monotonic() - started,
        )  # fmt: skip
