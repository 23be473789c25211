"""Feature file (HDF5), format "mner-features" version 1.1. This docstring is the specification.

One file holds one feature set of one dataset: N items (images or samples), M rows, D channels.

- `/ids` MUST be N unique UTF-8 strings in manifest order; the root attribute `id_kind` is `image`
  or `sample`. An id is data, never a group name.
- `/status` MUST be N uint8: 0 ok, 1 missing, 2 unreadable, 3 nothing found, 4 corpus without
  images. `/items/reason` says why in words. An item that is not ok MUST have zero rows; readers get
  a mask, never a stand-in.
- `/offsets` MUST be N+1 int64, non-decreasing, first 0, last M. Item i owns the rows
  `offsets[i]:offsets[i+1]` of every dataset under `/rows`.
- `/rows/features` (M, D) float16, float32 or uint8, finite, with the attribute `item_shape` (shape
  of one row before flattening) and, for a grid, `grid` (rows, columns); and/or `/rows/text` (M,)
  UTF-8. MAY: `/rows/boxes` (M, 4) float32 `xyxy`, pixels of the original upright image, x2/y2
  exclusive; `/rows/scores` (M,) float32, NaN = none; `/rows/labels` (M,) int32, indices into
  `/vocab/labels`; `/rows/attributes` (M, 16) int32, indices into `/vocab/attributes`, best first,
  then -1 for none, with `/rows/attribute_scores` (M, 16) float32, NaN where there is none.
- `/items/image_size` (N, 2) int32 (height, width); `/items/input_sha256` (N,) what the rows were
  computed from.
- Every dataset under `/rows` and `/items` MUST carry dimension labels and a `unit` where it has
  one. These, the index and `/vocab` MUST carry `sha256`, the checksum of their content.
- Root attributes MUST be `format`, `format_version`, `id_kind`, `fingerprint` (of the spec),
  `ids_sha256` (ids and input checksums), `n_items` and `complete`, written last. `/provenance` is a
  scalar JSON string.
- Files are contiguous and uncompressed, and hold nothing else: hard links to the datasets above,
  unfiltered, written whole, inside the file. A reader MUST refuse what is not so before it reads a
  value (extract/store/allowed_content.py), so that a file can neither point outside itself nor
  unpack to more than its size.
- Since 1.1 every file MUST end with a seal: `{"rows": [[offset, bytes], ...], "sha256": ...}`, the
  length of this JSON (8 bytes, little endian) and `MNERSEAL`. `sha256` is the checksum of all bytes
  before the seal but for the extents in `rows`, which are the numbers under `/rows`. A reader MUST
  check it before HDF5 parses the file (extract/store/seal.py) and MUST refuse a file of 1.1 or
  later without one: HDF5 ignores it to read and cuts it off to write. Files of 1.0 have none, and
  their shards have no checksums.
- A shard is built in the folder `<shard>.partial` from one
  such file a batch, named by its first item, without `/provenance`.
"""

from extract.store.format import Header
from extract.store.merge import merge_shards
from extract.store.reader import FeatureStore
from extract.store.verify import check_bytes, open_whole, verify_store
from extract.store.writer import FeatureWriter
from extract.tables.rows import StoredItem

__all__ = [
    "FeatureStore",
    "FeatureWriter",
    "Header",
    "StoredItem",
    "check_bytes",
    "merge_shards",
    "open_whole",
    "verify_store",
]
