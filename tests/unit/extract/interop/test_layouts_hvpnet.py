"""HVPNeT's family reads our exports: its loader, rebuilt here from its description.

Text: a line that begins with `IMGID:` gives the image file, `<id>.jpg`; every other line but an
empty one is a word, a TAB, a tag and one character more; an empty line, and nothing else, closes a
sentence; as many sentences as `IMGID:` lines or it stops. Whole image: any failure gives `inf.png`.
Crops: the split's dictionary by the image file's name, first three, zeros for what is missing; a
listed file that cannot be opened stops it. DeepKE's detector crops: one dictionary by the name up
to its first dot, values from the folder of the texts.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from extract.__main__ import main
from extract.corpora.prepare import prepare_dataset
from extract.corpora.readers.base import TextSettings
from extract.images.decode import load_image
from tests.builders.extract.tiny_export import (
    DETECTOR_BOXES,
    PHRASE_BOXES,
    SPLITS,
    Tiny,
    prepare,
    tree,
)

TAGS = {"O", *(f"{p}-{t}" for p in "BI" for t in ("PER", "LOC", "ORG", "MISC"))}

# (folder of the texts, folder of the image folders), as the projects' scripts have them.
HVPNET = {
    "twitter2015": ("data/NER_data/twitter2015", "data/NER_data"),
    "twitter2017": ("data/NER_data/twitter2017", "data/NER_data"),
}
DEEPKE = {
    "twitter2015": ("data/twitter2015", "data/twitter2015"),
    "twitter2017": ("data/twitter2017", "data/twitter2017"),
}
CO_MIPN = {
    "twitter2015": (
        "data/twitter15_data/twitter15_data/twitter2015",
        "data/twitter15_data/twitter15_data",
    ),
    "twitter2017": ("data/twitter17_data/data/twitter2017", "data/twitter17_data/data"),
}
PLACES = {"hvpnet": HVPNET, "deepke": DEEPKE, "vec_mner": DEEPKE, "co_mipn": CO_MIPN}
DETECTORS = {
    "twitter2015": "twitter15_detect/twitter15_img2crop.pth",
    "twitter2017": "twitter17_detect/twitter17_img2crop.pth",
}


@dataclass
class Loader:
    """One split as a project of the family loads it, run in the export."""

    root: Path
    layout: str
    name: str
    split: str

    def __post_init__(self) -> None:
        text, beside = (self.root / part for part in PLACES[self.layout][self.name])
        short = "val" if self.split == "valid" else self.split
        self.image_folder = beside / f"{self.name}_images"
        self.crop_folder = beside / f"{self.name}_aux_images" / short / "crops"
        self.words, self.tags, self.files = self.parse(text / f"{self.split}.txt")
        dictionary = text / f"{self.name}_{short}_dict.pth"
        self.dictionary = torch.load(dictionary, weights_only=True)
        self.text_folder = text
        if PLACES[self.layout] is DEEPKE:
            self.detector = torch.load(text / DETECTORS[self.name], weights_only=True)

    @staticmethod
    def parse(path: Path) -> tuple[list, list, list]:
        sentences, files, words, tags = [], [], [], []
        with path.open(encoding="utf-8") as file:
            for line in file:
                if line.startswith("IMGID:"):
                    files.append(line.strip().split("IMGID:")[1] + ".jpg")
                elif line == "\n":
                    sentences.append((words, tags))
                    words, tags = [], []
                else:
                    columns = line.split("\t")
                    tag = columns[1][:-1]
                    words.append(columns[0])
                    tags.append(tag[:2] + "MISC" if "OTHER" in tag else tag)
        assert len(sentences) == len(files)
        return [s[0] for s in sentences], [s[1] for s in sentences], files

    def whole(self, index: int) -> tuple[np.ndarray, bool]:
        """Return the pixels and whether `inf.png` was taken."""
        try:
            with Image.open(self.image_folder / self.files[index]) as image:
                return np.asarray(image.convert("RGB")), False
        except OSError:
            with Image.open(self.image_folder / "inf.png") as image:
                return np.asarray(image.convert("RGB")), True

    def crops(self, index: int) -> list[np.ndarray]:
        """Return the pixels of the first three listed crops; the others are zeros."""
        names = self.dictionary.get(self.files[index], [])
        return [self.open(self.crop_folder / name) for name in names[:3]]

    def detected(self, index: int) -> list[np.ndarray]:
        names = self.detector.get(self.files[index].split(".")[0], [])
        return [self.open(self.text_folder / name) for name in names[:3]]

    @staticmethod
    def open(path: Path) -> np.ndarray:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))


@pytest.fixture(scope="module")
def tiny(repo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return prepare(repo_root, tmp_path_factory.mktemp("tiny"))


def export(tiny: Tiny, layout: str, out: Path, *more: str) -> Path:
    assert main(tiny.command(layout, out, *more)) == 0
    return out


def expected_crops(tiny: Tiny, image_id: str, boxes: dict) -> list[np.ndarray]:
    """Slices of the upright image, whole pixels outwards."""
    if image_id not in boxes:
        return []
    pixels = np.asarray(load_image(Path(tiny.images[image_id].path)))
    height, width = pixels.shape[:2]
    slices = []
    for x1, y1, x2, y2 in boxes[image_id]:
        left, top = max(int(np.floor(x1)), 0), max(int(np.floor(y1)), 0)
        right, bottom = min(int(np.ceil(x2)), width), min(int(np.ceil(y2)), height)
        slices.append(pixels[top:bottom, left:right])
    return slices


def assert_same(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["twitter2015", "twitter2017"])
@pytest.mark.parametrize("layout", sorted(PLACES))
def test_the_project_reads_the_whole_corpus(tiny, tmp_path, layout, name):
    detector = PLACES[layout] is DEEPKE
    more = ["--detector-crops", str(tiny.folder / "detector_crops")] if detector else []
    root = export(tiny, layout, tmp_path / "out", "--name", name, *more)
    fell_back, crop_counts = [], {}
    for split in SPLITS:
        loader = Loader(root, layout, name, split)
        samples = tiny.samples(split)
        assert loader.words == [sample.tokens for sample in samples]
        assert loader.tags == [sample.tags for sample in samples]
        assert {tag for tags in loader.tags for tag in tags} <= TAGS
        for index, sample in enumerate(samples):
            pixels, is_stand_in = loader.whole(index)
            if is_stand_in:
                fell_back.append(sample.image_id)
                assert len(np.unique(pixels.reshape(-1, 3), axis=0)) == 1
            else:
                original = load_image(Path(tiny.images[sample.image_id].path))
                np.testing.assert_array_equal(pixels, np.asarray(original))
            crops = loader.crops(index)
            assert_same(crops, expected_crops(tiny, sample.image_id, PHRASE_BOXES)[:3])
            crop_counts[sample.image_id] = len(crops)
            if detector:
                expected = expected_crops(tiny, sample.image_id, DETECTOR_BOXES)
                assert_same(loader.detected(index), expected)
    assert fell_back == ["gone", "broken"]
    assert crop_counts == {
        "17_06_1": 3, "O_3993": 1, "img.v2": 2, "240": 1, "gone": 0, "dev_1": 3, "broken": 0,
        "test_1": 0, "test_2": 0, "test_3": 2,
    }  # fmt: skip


def test_the_loader_here_stops_at_what_the_projects_stop_at(tmp_path):
    """A text without the last blank line fails, so the test above sees it."""
    path = tmp_path / "train.txt"
    path.write_text("IMGID:1\na\tO\n\nIMGID:2\nb\tB-PER\n", encoding="utf-8")
    with pytest.raises(AssertionError):
        Loader.parse(path)
    path.write_text("IMGID:1\na\tB-OTHER\n\n", encoding="utf-8")
    assert Loader.parse(path) == ([["a"]], [["B-MISC"]], ["1.jpg"])


def test_without_detector_crops_the_dictionary_is_there_and_empty_handed(tiny, tmp_path):
    loader = Loader(export(tiny, "vec_mner", tmp_path / "o"), "vec_mner", "twitter2015", "train")
    assert loader.detector and not any(loader.detector.values())


def test_fewer_crops_on_demand(tiny, tmp_path):
    root = export(tiny, "hvpnet", tmp_path / "out", "--options", '{"max_crops": 2}')
    loader = Loader(root, "hvpnet", "twitter2015", "train")
    assert len(loader.dictionary["17_06_1.jpg"]) == 2
    assert len(list(loader.crop_folder.iterdir())) == 2 + 1 + 2 + 1


def test_images_keep_their_bytes_unless_a_plain_reader_would_see_others(tiny, tmp_path):
    folder = export(tiny, "hvpnet", tmp_path / "out") / "data/NER_data/twitter2015_images"
    kept = {
        image_id
        for image_id, row in tiny.images.items()
        if row.status == "ok"
        and (folder / f"{image_id}.jpg").read_bytes() == Path(row.path).read_bytes()
    }
    # O_3993 is turned by its EXIF data, dev_1 is transparent.
    assert kept == {"17_06_1", "img.v2", "240", "test_1", "test_2", "test_3"}
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [*(f"{i}.jpg" for i in kept), "O_3993.jpg", "dev_1.jpg", "inf.png"]
    )


@pytest.mark.parametrize("link", ["copy", "hardlink", "symlink"])
def test_links_give_the_same_content(tiny, tmp_path, link):
    one = export(tiny, "hvpnet", tmp_path / "plain")
    other = export(tiny, "hvpnet", tmp_path / "deep" / "er" / "linked", "--link", link)
    assert tree(one) == tree(other)
    crop = other / "data/NER_data/twitter2015_aux_images/val/crops/dev_1_pred_yolo_crop_0.png"
    source = tiny.folder / "phrase_crops" / crop.name
    assert crop.is_symlink() == (link == "symlink")
    assert crop.samefile(source) == (link != "copy")


def test_a_name_that_the_project_does_not_know(tiny, tmp_path, capsys):
    assert main(tiny.command("hvpnet", tmp_path / "out", "--name", "snap")) == 2
    assert "knows twitter2015, twitter2017" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["twitter2015", "twitter2017"])
def test_the_real_texts_come_through(shared_data, tmp_path, name):
    """With a no-break space as a token, OTHER, orphan I-, and no blank line at the end."""
    folder = tmp_path / "prepared"
    prepare_dataset(
        name,
        shared_data / name,
        folder,
        settings=TextSettings(),
        splits=SPLITS,
        image_folder=None,
        evidence=None,
        max_bad_images=0.0,
        check_counts=True,
        workers=1,
    )
    (folder / "phrase_crops").mkdir()
    (folder / "phrase_crops" / "crops.jsonl").touch()
    tiny = Tiny(folder)
    root = export(tiny, "hvpnet", tmp_path / "out", "--name", name)
    for split in SPLITS:
        loader = Loader(root, "hvpnet", name, split)
        samples = tiny.samples(split)
        assert loader.words == [sample.tokens for sample in samples]
        assert loader.tags == [sample.tags for sample in samples]
        assert loader.files == [f"{sample.image_id}.jpg" for sample in samples]
        assert loader.whole(0)[1] and loader.crops(0) == []
