"""A process that decodes one image at a time, so that its death costs one image.

`python -m extract.images.probe_worker LIMITS` says `{}` when it is ready; then each line of stdin
is the path of an image as JSON, and each line of stdout `{"sha256", "height", "width"}`,
`{"reason"}`, `{"costly": true}` when the memory did not suffice, or `{"system": errno}` when the
system failed to read the file, which says nothing about the image. Its system limits (setrlimit(2))
end it where Python cannot: the soft limit of the processor time is raised for every image.
"""

import json
import os
import resource
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL import Image

from extract.core.system import NamedSystemError, allow_seconds, set_soft_limit
from extract.images.decode import ImageTooCostly, probe_image
from extract.images.files import UnreadableImage
from extract.images.limits import ImageLimits


def answer(path: Path, limits: ImageLimits) -> dict[str, Any]:
    """Decode an image and return what is said about it."""
    try:
        return asdict(probe_image(path, limits))
    except (ImageTooCostly, MemoryError):
        return {"costly": True}
    except UnreadableImage as error:
        return {"reason": str(error)}
    except NamedSystemError as error:
        return {"system": error.errno}


def limit_memory(max_memory_mb: int) -> None:
    """Allow so much address space beyond what the process has now; Linux alone counts it."""
    if sys.platform != "linux":
        return
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    wanted = pages * resource.getpagesize() + max_memory_mb * 2**20
    set_soft_limit(resource.RLIMIT_AS, wanted)


def main() -> None:
    """Answer until stdin ends."""
    limits = ImageLimits(**json.loads(sys.argv[1]))
    # An interrupt is the parent's business; it ends this process by closing stdin.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    Image.init()  # while there is room: decoders are loaded at their first use
    limit_memory(limits.max_memory_mb)
    # Decoders written in C complain there, for every broken image.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sys.stdout.write("{}\n")
    sys.stdout.flush()
    for line in sys.stdin:
        allow_seconds(limits.max_seconds)
        sys.stdout.write(json.dumps(answer(Path(json.loads(line)), limits)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
