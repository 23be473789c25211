"""What property tests draw: texts as corpora hold them, tags, feature rows."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from extract.tables.rows import STATUS, ItemFeatures, Outputs, nothing_found
from extract.tables.samples import Sample

TYPES = ("PER", "LOC", "ORG", "MISC")
# No lone surrogates, which no UTF-8 file holds.
TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
TRICKY = st.sampled_from(
    [
        "\u00a0",
        "\u2028",
        "\u0085",
        "\x0b",
        "\x1c",
        "\ufeff",
        "IMGID",
        "#",
        '"',
        "''",
        "😀",
        "e\u0301",
    ]
)
TAGS = st.lists(st.sampled_from(["O", *(f"{p}-{t}" for p in "BI" for t in TYPES)]), max_size=9)


def words() -> st.SearchStrategy[str]:
    """Tokens that a CoNLL file can hold: no gap, line end or NUL, and no header."""
    plain = TEXT.filter(bool) | TRICKY
    return plain.filter(
        lambda word: not set(word) & set("\t \n\r\0") and not word.startswith("IMGID:")
    )


@st.composite
def tagged(draw: st.DrawFn, token: st.SearchStrategy[str], name: st.SearchStrategy[str]) -> Sample:
    """A sample of at least one token with BIO tags."""
    tokens = draw(st.lists(token, min_size=1, max_size=8))
    tags = draw(st.lists(st.sampled_from(["O", "B-PER", "I-PER", "B-LOC"]), min_size=len(tokens)))
    return Sample("train-00000", draw(name), tokens, tags[: len(tokens)])


def outputs() -> st.SearchStrategy[Outputs]:
    """Declared columns, at least one of features and text."""
    feature_dim = st.integers(1, 5)
    with_features = st.builds(
        Outputs,
        feature_dim=feature_dim,
        feature_dtype=st.sampled_from(["float16", "float32", "uint8"]),
        text=st.booleans(),
        boxes=st.booleans(),
        scores=st.booleans(),
        labels=st.sampled_from([(), ("person", "žena", "犬")]),
    )
    of_text = st.builds(Outputs, text=st.just(True), boxes=st.booleans(), scores=st.booleans())
    return with_features | of_text


@st.composite
def item_features(draw: st.DrawFn, columns: Outputs) -> ItemFeatures:
    """One item of those columns: up to three rows, or a status with a reason."""
    n_rows = draw(st.integers(0, 3))
    if not n_rows:
        reason = draw(TEXT.map(lambda text: f"because {text}".replace("\0", "")))
        status = draw(st.sampled_from([code for code in STATUS.values() if code]))
        return ItemFeatures(**{**vars(nothing_found(reason, columns)), "status": status})
    found: dict[str, object] = {}
    if columns.feature_dim:
        kind = np.dtype(columns.feature_dtype)
        finite = None if kind == np.uint8 else _finite(kind)
        shape = (n_rows, columns.feature_dim)
        found["features"] = draw(hnp.arrays(kind, shape, elements=finite))
    if columns.text:
        text = TEXT.map(lambda text: text.replace("\0", ""))
        found["text"] = draw(st.lists(text, min_size=n_rows, max_size=n_rows))
    if columns.boxes:
        found["boxes"] = draw(hnp.arrays(np.float32, (n_rows, 4), elements=_finite(np.float32)))
    if columns.scores:
        scores = st.floats(width=32, allow_infinity=False)
        found["scores"] = draw(hnp.arrays(np.float32, n_rows, elements=scores))
    if columns.labels:
        found["labels"] = draw(hnp.arrays(np.int32, n_rows, elements=st.integers(0, 2)))
    return ItemFeatures(**found)


def _finite(kind: object) -> st.SearchStrategy[float]:
    width = 8 * np.dtype(kind).itemsize
    return st.floats(width=width, allow_nan=False, allow_infinity=False)
