"""Draw the tiny corpus beside this file: 12 tweets, 8 images, one missing, one broken.

Run once, `python tests/data/tiny/make.py`; what it wrote is committed. Two images are shared by two
tweets each. The text holds the quirks of the real corpora: the type OTHER, an orphan `I-`, a
no-break space as a token, ids with dots and underscores, no blank line at the end of a file.
"""

import io
import json
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).resolve().parent

# (image id, tokens with their tags)
CORPUS = {
    "train": [
        ("17_06_1", "Ada/B-PER Moss/I-PER visits/O Torvik/B-LOC today/O"),
        ("17_06_1", "the/O band/O Oskelion/B-ORG plays/O for/O Ada/B-PER Moss/I-PER"),
        ("O_3993", "J/O ./O Brindle/I-PER wins/O the/O Quorra/B-OTHER Cup/I-OTHER"),
        ("img.v2", "sunny/O morning/O in/O Torvik/B-LOC harbour/O http://t.co/x1/O"),
        ("240", "#Quorra/B-OTHER fans/O wait/O at/O Mellow/B-LOC Park/I-LOC"),
        ("gone", "RT/O @oskelion/B-ORG :/O new/O album/O \u00a0/O out/O now/O"),
    ],
    "valid": [
        ("dev_1", "Ada/B-PER Moss/I-PER sings/O with/O Oskelion/B-ORG"),
        ("broken", "rain/O over/O Mellow/B-LOC Park/I-LOC again/O"),
    ],
    "test": [
        ("test_1", "Brindle/B-PER scores/O for/O Torvik/B-ORG United/I-ORG"),
        ("test_2", "old/O bridge/O of/O Torvik/B-LOC"),
        ("test_3", "the/O Quorra/B-OTHER Cup/I-OTHER returns/O to/O Mellow/B-LOC Park/I-LOC"),
        ("test_3", "what/O a/O day/O"),
    ],
}

EVIDENCE = {"17_06_1": "picture", "img.v2": "ocr", "test_1": "picture", "test_3": "ocr"}
DEFAULT_EVIDENCE = "words"

BOXES = {
    "17_06_1": [("Ada Moss", (2, 2, 14, 30)), ("Oskelion", (16, 8, 40, 28))],
    "240": [("Mellow Park", (0, 10, 32, 24))],
    "dev_1": [("Ada Moss", (4, 4, 20, 20))],
    "test_1": [("Brindle", (1, 1, 12, 22)), ("Torvik United", (6, 14, 30, 23))],
    "test_3": [("Quorra Cup", (8, 4, 24, 28)), ("nobody", (0, 0, 5, 5))],
}


def main() -> None:
    """Write texts, lists and images."""
    for split, samples in CORPUS.items():
        name = "dev" if split == "valid" else split
        (HERE / f"{name}.txt").write_text(conll(samples), encoding="utf-8")
    images = draw()
    ids = list(dict.fromkeys(i for samples in CORPUS.values() for i, _ in samples))
    captions = [f"{image_id}.jpg :a small drawing of number {n}" for n, image_id in enumerate(ids)]
    captions.append("240.jpg :a second caption: with a colon")
    (HERE / "captions.txt").write_text("\n".join(captions) + "\n", encoding="utf-8")
    evidence = [f"{image_id}\t{EVIDENCE.get(image_id, DEFAULT_EVIDENCE)}" for image_id in ids]
    (HERE / "evidence.tsv").write_text("\n".join(evidence) + "\n", encoding="utf-8")
    with (HERE / "annotations.jsonl").open("w", encoding="utf-8") as file:
        for image_id, boxes in BOXES.items():
            width, height = images[image_id]
            record = {"image_id": image_id, "width": width, "height": height}
            record["boxes"] = [{"name": name, "xyxy": xyxy} for name, xyxy in boxes]
            file.write(json.dumps(record) + "\n")


def conll(samples: list[tuple[str, str]]) -> str:
    """Return the text of a split; a blank line separates tweets, none ends the file."""
    blocks = []
    for image_id, words in samples:
        lines = [word.rsplit("/", 1) for word in words.split(" ")]
        blocks.append(f"IMGID:{image_id}\n" + "\n".join(f"{token}\t{tag}" for token, tag in lines))
    return "\n\n".join(blocks)


def draw() -> dict[str, tuple[int, int]]:
    """Write the images: JPEG, PNG with palette and with alpha, grey, EXIF-turned, with text.

    Returns:
        Image id -> (width, height) upright.
    """
    folder = HERE / "images"
    folder.mkdir(exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    drawings = {
        "17_06_1.jpg": shape((48, 32), "red", "ellipse").convert("RGB"),
        "O_3993.jpg": shape((32, 48), "blue", "rectangle").convert("RGB"),
        "img.v2.png": sign("TORVIK"),
        "240.png": shape((32, 24), "green", "ellipse").convert("P"),
        "dev_1.png": shape((24, 24), "orange", "rectangle").convert("RGBA"),
        "test_1.jpg": shape((32, 24), "purple", "ellipse").convert("L"),
        "test_2.png": sign("BRIDGE"),
        "test_3.png": shape((40, 30), "black", "rectangle").convert("RGB"),
    }
    sizes = {}
    for name, image in drawings.items():
        options = {"exif": exif} if name == "O_3993.jpg" else {}
        options |= {"quality": 60} if name.endswith(".jpg") else {"optimize": True}
        image.save(folder / name, **options)
        turned = (image.height, image.width) if "exif" in options else image.size
        sizes[name.rsplit(".", 1)[0]] = turned
    whole = io.BytesIO()
    shape((48, 32), "red", "ellipse").save(whole, "JPEG", quality=60)
    (folder / "broken.jpg").write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    return sizes


def shape(size: tuple[int, int], color: str, kind: str) -> Image.Image:
    """Return one filled shape on white."""
    image = Image.new("RGB", size, "white")
    box = (4, 4, size[0] - 5, size[1] - 5)
    getattr(ImageDraw.Draw(image), kind)(box, fill=color)
    return image


def sign(text: str) -> Image.Image:
    """Return black letters on white, large enough for Tesseract."""
    image = Image.new("1", (180, 60), 1)
    ImageDraw.Draw(image).text((18, 12), text, fill=0, font=ImageFont.load_default(size=32))
    return image


if __name__ == "__main__":
    main()
