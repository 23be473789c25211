"""How much one image file may cost. Images come from the web: some are made to be dear."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class ImageLimits:
    """An image over one of these is `unreadable`, with the limit as its reason."""

    max_pixels: int = 50_000_000
    """Height times width; seen in the header, before anything is decoded."""
    max_file_mb: int = 100
    """Size of the file, 2**20 bytes."""
    max_seconds: int = 20
    """Processor time to decode it."""
    max_memory_mb: int = 2048
    """Address space to decode it, 2**20 bytes, beside that of the decoding process (Linux)."""
    follow_links: bool = False
    """Read what lies outside of the image folder, where a link in it leads there."""

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value < 1 and name != "follow_links":
                raise ValueError(f"{name} must be at least 1, got {value}")

    @property
    def max_bytes(self) -> int:
        """`max_file_mb` in bytes."""
        return self.max_file_mb * 2**20

    def of_decoding(self) -> dict[str, Any]:
        """Return, JSON-able, all that decides whether some bytes are readable."""
        return {name: value for name, value in asdict(self).items() if name != "follow_links"}
