"""The photos that the benchmarks read: thirty real ones taken twice where they are at hand."""

import os
import shutil
from pathlib import Path

from PIL import Image

from extract.images.probe import probe_folder
from extract.tables.images_table import ImageRow, write_images

COPIES = 2


def find_photos() -> list[Path]:
    """Return the photos of tweets30, empty where the folder is absent."""
    shared = Path(os.environ.get("MNER_SHARED", Path(__file__).parents[3] / "shared" / "data"))
    return sorted((shared / "tweets30" / "images").glob("*.jpg"))


def lay_out_photos(folder: Path) -> list[ImageRow]:
    """Copy the photos twice into `folder/images` and write `folder/images.tsv`."""
    images = folder / "images"
    images.mkdir(parents=True)
    photos = find_photos()
    for copy in range(COPIES):
        for number, photo in enumerate(photos or range(30)):
            target = images / f"photo_{number:02d}_{copy}.jpg"
            if photos:
                shutil.copy(photo, target)
            else:
                _draw_photo(number, target)
    rows = probe_folder(sorted(path.stem for path in images.iterdir()), images, workers=2)
    write_images(folder / "images.tsv", rows)
    return rows


def _draw_photo(number: int, target: Path) -> None:
    """A textured JPEG of a photo's size."""
    corner = -1.5 + number / 40
    picture = Image.effect_mandelbrot((1024, 768), (corner, -1, corner + 1, 0.2), 60)
    picture.convert("RGB").save(target, quality=90)
