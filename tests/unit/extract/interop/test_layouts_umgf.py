"""UMGF reads our export: its loader, rebuilt here from its description.

Text: files `<n>_s.txt`, `<n>_l.txt`, `<n>_p.txt` of a split's folder, each kind sorted by name; the
first line of each is taken whole, so a line end would belong to the last tag or to the image id.
Tags: PER, LOC, ORG, OTHER. Images: `<id>/crop_<type>_<id>.jpg` for four types; the first that
cannot be opened ends the program.
"""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from extract.__main__ import main
from extract.images.decode import load_image
from tests.builders.extract.tiny_export import SPLITS, Tiny, cut, prepare

TAGS = {"O", *(f"{p}-{t}" for p in "BI" for t in ("PER", "LOC", "ORG", "OTHER"))}
TYPES = ("person", "miscellaneous", "location", "organization")
QUERIES = ["Person", "location", "person", "organization", "dog"]
BOXES = {
    "17_06_1": [(2, 2, 14, 30), (16, 8, 40, 28), (0, 0, 5, 5), (1, 1, 9, 9), (3, 3, 8, 8)],
    "dev_1": [(4, 4, 20, 20)],
}


class Loader:
    """One split as UMGF loads it."""

    def __init__(self, texts: Path, images: Path) -> None:
        self.columns = {
            kind: [self.first_line(path) for path in sorted(texts.glob(f"*_{kind}.txt"))]
            for kind in "slp"
        }
        self.images = images

    @staticmethod
    def first_line(path: Path) -> str:
        with path.open(encoding="utf-8") as file:
            return file.readline()

    def sentences(self) -> list[tuple[list[str], list[str], str]]:
        rows = zip(*(self.columns[kind] for kind in "slp"), strict=True)
        return [(words.split("\t"), tags.split("\t"), image) for words, tags, image in rows]

    def pictures(self, image_id: str) -> dict[str, np.ndarray]:
        found = {}
        for kind in TYPES:
            with Image.open(self.images / image_id / f"crop_{kind}_{image_id}.jpg") as image:
                found[kind] = np.asarray(image.convert("RGB"))
        return found


@pytest.fixture(scope="module")
def tiny(repo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    tiny = prepare(repo_root, tmp_path_factory.mktemp("tiny"))
    cut(tiny, BOXES, tiny.folder / "type_crops", QUERIES)
    return tiny


def command(tiny: Tiny, out: Path, *more: str) -> list[str]:
    words = tiny.command("umgf", out, *more)
    words[words.index("--crops") + 1] = str(tiny.folder / "type_crops")
    return words


def test_the_project_reads_the_whole_corpus(tiny, tmp_path):
    assert main(command(tiny, tmp_path / "out", "--name", "snap")) == 0
    for split in SPLITS:
        texts = tmp_path / "out" / "my_data" / "snap" / split
        loader = Loader(texts, tmp_path / "out" / "data" / "snap" / "image")
        samples = {tuple(sample.tokens): sample for sample in tiny.samples(split)}
        sentences = loader.sentences()
        assert len(sentences) == len(tiny.samples(split)) == len(samples)
        for words, tags, image_id in sentences:
            sample = samples[tuple(words)]
            assert image_id == sample.image_id and set(tags) <= TAGS
            assert tags == [tag.replace("MISC", "OTHER") for tag in sample.tags]
            check_pictures(tiny, image_id, loader.pictures(image_id))


def check_pictures(tiny: Tiny, image_id: str, pictures: dict[str, np.ndarray]) -> None:
    row = tiny.images[image_id]
    if row.status != "ok":
        assert all(len(np.unique(p.reshape(-1, 3), axis=0)) == 1 for p in pictures.values())
        return
    whole = np.asarray(load_image(Path(row.path)))
    # The best box of a query counts; a type without one gets the whole image.
    crops = {"person": 0, "location": 1, "organization": 3} if image_id == "17_06_1" else {}
    crops = {"person": 0} if image_id == "dev_1" else crops
    for kind, picture in pictures.items():
        expected = whole
        if kind in crops:
            x1, y1, x2, y2 = BOXES[image_id][crops[kind]]
            expected = whole[y1:y2, x1:x2]
        np.testing.assert_array_equal(picture, expected)


def test_more_than_ten_tweets_stay_together(tiny, tmp_path):
    """`10_s.txt` sorts before `1_s.txt`, so the kinds must sort alike."""
    samples = tmp_path / "samples"
    samples.mkdir()
    lines = (tiny.folder / "samples" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    for split in SPLITS:
        (samples / f"{split}.jsonl").write_text("\n".join(lines * 3) + "\n", encoding="utf-8")
    words = command(tiny, tmp_path / "out")
    at = words.index("--samples") + 1
    words[at : at + 3] = [str(samples / f"{split}.jsonl") for split in SPLITS]
    assert main(words) == 0
    texts = tmp_path / "out" / "my_data" / "twitter2015" / "train"
    sentences = Loader(texts, texts).sentences()
    assert len(sentences) == 3 * len(lines)
    known = {tuple(s.tokens): s.image_id for s in tiny.samples("train")}
    for tokens, tags, image_id in sentences:
        assert known[tuple(tokens)] == image_id and len(tags) == len(tokens)


def test_crops_of_other_phrases_are_refused_unless_named(tiny, tmp_path, capsys):
    words = tiny.command("umgf", tmp_path / "out")
    assert main(words) == 2
    assert "no crop is of a type word (person, miscellaneous" in capsys.readouterr().err
    assert main([*words, "--options", '{"person": "phrase 0"}']) == 0
