"""A corpus of small drawn images that can be changed the way a scraped one changes."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

BOXES = ((2, 3, 20, 18), (10, 5, 36, 28))
SPLITS = {"train": 0.8, "valid": 0.1, "test": 0.1}


@dataclass
class Corpus:
    """Tweets with one image each, in `folder/data`; `write` brings the files up to date."""

    folder: Path
    size: tuple[int, int] = (40, 30)
    """Width and height of an image in pixels, at least that of `BOXES`."""
    images: dict[str, int] = field(default_factory=dict)
    """Image id -> number that its pixels are drawn from, in the order of the tweets."""
    _next: int = 0

    def add(self, count: int, at: int | None = None) -> list[str]:
        """Put new images before the tweet at a place (default: at the end); return their ids."""
        numbers = range(self._next, self._next + count)
        self._next += count
        new = {f"photo_{number}": number for number in numbers}
        known = list(self.images.items())
        at = len(known) if at is None else at
        self.images = dict(known[:at]) | new | dict(known[at:])
        return list(new)

    def change(self, image_id: str) -> None:
        """Give an image other pixels."""
        self.images[image_id] = self._next
        self._next += 1

    def rename(self, image_id: str) -> None:
        """Give an image another id, in its file's name, the tweet and the annotations."""
        new = f"renamed_{image_id}"
        self.images = {new if i == image_id else i: n for i, n in self.images.items()}

    def remove(self, image_ids: list[str]) -> None:
        """Remove images and their tweets."""
        for image_id in image_ids:
            del self.images[image_id]

    def write(self) -> None:
        """Write the image files that changed, the texts and the annotations."""
        folder = self.folder / "data"
        photos = folder / "images"
        photos.mkdir(parents=True, exist_ok=True)
        wanted = {f"{image_id}.png": number for image_id, number in self.images.items()}
        for path in photos.iterdir():
            if path.name not in wanted:
                path.unlink()
        for name, number in wanted.items():
            if _number_of(photos / name) != number:
                self._draw(photos / name, number)
        self._write_texts(folder)
        self._write_annotations(folder / "annotations.jsonl")

    def _draw(self, path: Path, number: int) -> None:
        width, height = self.size
        coarse = np.random.default_rng(number).integers(0, 256, (6, 8, 3), np.uint8)
        image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        # In a corner, and read back by `_number_of`.
        image.putpixel((0, 0), tuple(number.to_bytes(3, "big")))
        image.save(path)

    def _write_texts(self, folder: Path) -> None:
        ids, start, share = list(self.images), 0, 0.0
        for split, part in SPLITS.items():
            share += part
            stop = round(share * len(ids))
            lines = (f"IMGID:{i}\nAda\tB-PER\nwaves\tO\n\n" for i in ids[start:stop])
            (folder / f"{split}.txt").write_text("".join(lines), encoding="utf-8")
            start = stop

    def _write_annotations(self, path: Path) -> None:
        width, height = self.size
        boxes = [{"name": "Ada", "xyxy": box} for box in BOXES]
        shape = {"width": width, "height": height, "boxes": boxes}
        lines = (json.dumps({"image_id": image_id, **shape}) + "\n" for image_id in self.images)
        path.write_text("".join(lines), encoding="utf-8")


def _number_of(path: Path) -> int | None:
    """Return what an image was drawn from, None where there is no file."""
    if not path.is_file():
        return None
    with Image.open(path) as image:
        return int.from_bytes(bytes(image.getpixel((0, 0))), "big")
