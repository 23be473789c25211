"""What the plug-ins of `extract` make of a tiny corpus."""

import json
import random
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from extract.commands.phrases import load_backend
from extract.core.registry import load_module
from extract.corpora.readers.base import TextSettings
from extract.interop.stores import import_artefact
from extract.tables.rows import ItemFeatures, Outputs
from extract.tables.samples import Sample
from tests.builders.extract.interop_files import image, run_export, run_import, write_store
from tests.builders.extract.tiny_export import PHRASE_BOXES, Tiny, cut, prepare
from tests.builders.extract.tiny_plugins import CASES, Workbench
from tests.builders.extract.tiny_views import make_corpus
from tests.golden.code import ROOT
from tests.golden.summaries import of_folder, of_store

TINY = ROOT / "tests/data/tiny"

# They are plain, in one bit, with an alpha channel, turned by EXIF, plain again, and broken.
IMAGES = ("17_06_1.jpg", "img.v2.png", "dev_1.png", "O_3993.jpg", "test_3.png", "broken.jpg")
BOXES = {
    "17_06_1": [[2, 2, 14, 30], [16, 8, 40, 28]],
    "img.v2": [[-5, -5, 60, 40.5]],
    "O_3993": [[1, 2, 20, 11]],
}

TWEETS = [
    "RT @NASA : the #MarsRover sends its first photos http://t.co/x1",
    "Ada Lovelace 's old dog sees a red ball in St. Louis , MO",
    "Don't miss J. Cole & The Roots @ Madison Square Garden tonight !!!",
    "soooo happy 😍 😍 w/ my best friends &amp; the Golden State Warriors",
    "I 'm at the 3rd annual New York_City marathon , can ' t wait",
    "10 years ago : O'Brien met Dr. Watson a.m. in L . A .",
    '" The Great Gatsby " - a novel ... by F . Scott Fitzgerald',
    "... # @ ? 👍",
]

TAGGED = [
    "the/DT old/JJ dog/NN sees/VBZ a/DT red/JJ ball/NN in/IN St./NNP Louis/NNP ,/,",
    "Watson/NNP met/VBD my/PRP$ best/JJS friends/NNS at/IN the/DT Golden/NNP State/NNP Garden/NNP",
    "The/DT Roots/NNPS miss/VBP years/NNS of/IN happy/JJ photos/NNS tonight/NN !/.",
    "I/PRP sends/VBZ its/PRP$ first/JJ novel/NN by/IN Scott/NNP :/:",
]
"""Word/tag sentences that the taggers learn."""

CORPUS = (
    "IMGID:1\nAda\tB-PER\nMoss\tI-PER\nvisits\tO\nTorvik\tB-LOC\n\n"
    "IMGID:17_06_2\nthe\tO\nQuorra\tI-OTHER\nCup\tI-OTHER\nhttp://t.co/x\tO\n\n"
    "IMGID:img.v2\n#\tO\nMellow\tB-ORG\nPark\tI-ORG\n🙂\tO\n\n"
)


class Extracted:
    """The values of all plug-ins of `extract`, computed in a folder that they share."""

    def __init__(self, folder: Path) -> None:
        self._root = folder

    def _folder(self, name: str) -> Path:
        folder = self._root / name
        folder.mkdir()
        return folder

    @cached_property
    def _bench(self) -> Workbench:
        folder = self._folder("bench")
        (folder / "images").mkdir()
        for name in IMAGES:
            shutil.copy(TINY / "images" / name, folder / "images")
        _draw_transparent(folder / "images/transparent.png")
        _draw_deep(folder / "images/deep.png")
        names = [*IMAGES, "transparent.png", "deep.png"]
        bench = Workbench(folder, [name.rpartition(".")[0] for name in names])
        bench.prepare(BOXES)
        return bench

    @cached_property
    def _tiny(self) -> Tiny:
        return prepare(ROOT, self._folder("tiny"))

    def rows(self, plugin: str) -> Any:
        """Return the rows of an extractor or grounder, through decoding, engine and store."""
        names = [name for name, case in CASES.items() if case.plugin == plugin]
        return {name: of_store(self._bench.store(name)) for name in names}

    def samples(self, reader: str) -> Any:
        """Return what a reader makes of a file in its format."""
        module = load_module("extract.corpora.readers", reader)
        folder, found = self._folder(f"reader-{reader}"), {}
        for split, files in module.SPLIT_FILES.items():
            text = CORPUS.replace("IMGID:1\n", f"IMGID:{split}\n")
            if reader == "untagged":
                text = "\n".join(line.partition("\t")[0] for line in text.split("\n"))
            (folder / files[0]).write_text(text, encoding="utf-8")
            read = module.iter_samples(folder, split, TextSettings())
            found[split] = [[s.id, s.image_id, s.tokens, s.tags] for s in read]
        return found

    def phrases(self, name: str) -> Any:
        """Return the phrases of tweets that are hard to read, by taggers of a few words."""
        options = {"words": ["old dog", "marathon"]} if name == "type_words" else {}
        backend = load_backend(name, json.dumps(options))
        with _nltk_data(self._root / "nltk") if name == "nltk" else nullcontext():
            backend.load(_spacy_pipeline(self._root / "spacy") if name == "spacy" else None)
        tweets = [tweet.split() for tweet in TWEETS]
        found = backend.phrases_of_many(tweets, [str(i) for i in range(len(tweets))])
        return [[[p.text, p.start, p.end] for p in phrases] for phrases in found]

    def crops(self) -> Any:
        """Return names, sizes and colours of crops, why there is none, and the dictionaries."""
        folder = self._tiny.folder
        record, samples = (
            folder / "phrase_crops" / "crops.jsonl",
            folder / "samples" / "train.jsonl",
        )
        found = {}
        for keys in ("file", "id", "first_dot"):
            out = self._root / f"crops-by-{keys}.pth"
            self._bench.run("crop-dict", "--crops", record, "--samples", samples, "--keys", keys,
                            "--out", out)  # fmt: skip
            found[keys] = torch.load(out, weights_only=True)
        return {"crops": of_folder(folder / "phrase_crops"), "dictionaries": found}

    def layout(self, name: str) -> Any:
        """Return the files of an exported folder."""
        out = self._root / f"layout-{name}"
        module = load_module("extract.interop.layouts", name)
        if module.NEEDS:
            words = self._tiny.command(name, out)
            if "detector_crops" in module.TAKES:
                words += ["--detector-crops", str(self._tiny.folder / "detector_crops")]
            if name == "umgf":
                # Its crops are those of four words, not of phrases.
                crops = self._root / "type_crops"
                cut(self._tiny, PHRASE_BOXES, crops, ["person", "location", "person", "dog", "dog"])
                words[words.index("--crops") + 1] = str(crops)
            self._bench.run(*words)
        else:
            with ExitStack() as stack:
                corpus = make_corpus(self._folder(f"corpus-{name}"), stack)
                module.export(corpus, out, module.Options())
        files = of_folder(out)
        # It names the versions of the code that wrote the folder.
        files.pop("EXPORT.json", None)
        return files

    def artefact(self, kind: str) -> Any:
        """Return the file that an artefact writes, and the rows that it reads from one."""
        folder = self._folder(f"artefact-{kind}")
        store = folder / "read.h5"
        if kind == "context_conll":
            (folder / "x.txt").write_text(CONTEXTS, encoding="utf-8")
            samples = [[Sample("1", "a", ["Ann", "in", "Riga"]), Sample("2", "b", ["hello"])]]
            import_artefact(kind, [folder / "x.txt"], store, samples=samples)
            return {"read": of_store(store)}
        if kind == "crop_dict":
            self._bench.run(*self._tiny.command("hvpnet", folder / "hvpnet"))
            images, options = list(self._tiny.images.values()), {"layout": "hvpnet", "size": 12}
            run_import(kind, folder / "hvpnet", store, images, **options)
            return {"read": of_store(store)}
        name, results, outputs, options = STORED[kind]
        given = write_store(folder / "given.h5", PICTURES, results, outputs)
        (folder / "written").mkdir()
        run_export(kind, given, folder / "written" / name, PICTURES, **options)
        run_import(kind, folder / "written" / name, store, PICTURES, **options)
        return {"written": of_folder(folder / "written"), "read": of_store(store)}


PICTURES = [image("a.jpg"), image("7"), image("gone", "missing")]
CONTEXTS = (
    "Ann B-PER\nin O\nRiga B-LOC\n<EOS> B-X\na B-X\ndog B-X\n<EOS> B-X\nEXIT B-X\n\nhello O\n"
)


def _stored(outputs: Outputs, **columns: Any) -> tuple[dict[str, ItemFeatures], Outputs]:
    """Return rows of the first two pictures: `columns` of the one, backwards of the other."""
    backwards = {name: values[::-1] for name, values in columns.items()}
    return {"a.jpg": ItemFeatures(**columns), "7": ItemFeatures(**backwards)}, outputs


_XYXY = np.array([[0.5, 1, 20.25, 30], [5, 6, 47, 40]], np.float32)
_SCORES = np.array([0.9, 0.25], np.float32)
_ROWS = np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 4)
_WORDS = np.full((2, 16), -1, np.int32)
_WORDS[0, :2] = 1, 0
_REGIONS = _stored(
    Outputs(
        4, "float32", boxes=True, scores=True, labels=("car", "dog"), attributes=("old", "red")
    ),
    features=_ROWS,
    boxes=_XYXY,
    scores=_SCORES,
    labels=np.array([1, 0]),
    attributes=_WORDS,
    attribute_scores=np.where(_WORDS >= 0, np.float32(0.5), np.float32("nan")),
)
_PLAIN_REGIONS = _stored(
    Outputs(4, "float32", boxes=True, scores=True, labels=("car", "dog")),
    features=_ROWS,
    boxes=_XYXY,
    scores=_SCORES,
    labels=np.array([1, 0]),
)
_BOXES = _stored(
    Outputs(text=True, boxes=True, scores=True),
    text=["old dog", "Riga & co"],
    boxes=_XYXY,
    scores=_SCORES,
)
_CAPTIONS = _stored(
    Outputs(text=True, scores=True), text=["a dog : two", "a cat"], scores=np.log(_SCORES)
)
_GRID = _stored(
    Outputs(512, "float32", grid=(7, 7)),
    features=np.linspace(0, 1, 49 * 512, dtype=np.float32).reshape(49, 512),
)
STORED: dict[str, tuple[str, dict[str, ItemFeatures], Outputs, dict[str, Any]]] = {
    "caption_list": ("x.txt", *_CAPTIONS, {}),
    "captions_tsv": ("x.tsv", *_CAPTIONS, {}),
    "coco": ("x.json", *_BOXES, {}),
    "oscar_tsv": ("x.feature.tsv", *_PLAIN_REGIONS, {"feature_dim": 4}),
    "vgg_pt": ("x.pt", *_GRID, {"keys": "str"}),
    "vinvl_tsv": ("x.tsv", *_REGIONS, {"feature_dim": 4}),
    "voc": ("xml", *_BOXES, {}),
}
"""Artefact -> name of its file, rows and columns that are written, options."""


def _draw_transparent(path: Path) -> None:
    """Draw white and grey on what is not, half and fully transparent."""
    pixels = np.full((24, 36, 4), 255, np.uint8)
    pixels[:12, :, :3] = 90
    pixels[..., 3] = np.repeat(np.array([255, 128, 0], np.uint8), 12)
    Image.fromarray(pixels).save(path)


def _draw_deep(path: Path) -> None:
    """Draw grey of 16 bits, from black to white."""
    ramp = np.linspace(0, 65535, 40 * 30).reshape(30, 40)
    Image.fromarray(ramp.astype(np.uint16)).save(path)


@contextmanager
def _nltk_data(folder: Path) -> Iterator[None]:
    """Let NLTK find a tagger that learned a few sentences."""
    import nltk
    from nltk.tag.perceptron import PerceptronTagger

    before = list(nltk.data.path)
    tagger = PerceptronTagger(load=False)
    random.seed(0)  # of the order in which it learns
    tagger.train([[tuple(word.split("/")) for word in text.split()] for text in TAGGED], nr_iter=3)
    place = folder / "taggers" / "averaged_perceptron_tagger_eng"
    place.mkdir(parents=True)
    # Its own way to a file refuses folders that are not NLTK's.
    for content, name in zip(tagger.encode_json_obj(), tagger.param_files("eng"), strict=True):
        (place / name).write_text(json.dumps(content))
    nltk.data.path[:] = [str(folder)]
    try:
        yield
    finally:
        nltk.data.path[:] = before


def _spacy_pipeline(folder: Path) -> Path:
    """Write a pipeline that knows the tags of the same words."""
    import spacy

    nlp = spacy.blank("en")
    ruler = nlp.add_pipe("attribute_ruler")
    ruler.add([[{}]], {"TAG": "NN"})
    for word, tag in sorted({tuple(word.split("/")) for text in TAGGED for word in text.split()}):
        ruler.add([[{"LOWER": word.lower()}]], {"TAG": tag})
    nlp.to_disk(folder)
    return folder
