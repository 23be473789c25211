"""No network and no private folders: what every library is told before it is imported.

Nothing here downloads, reports usage or asks for newer versions, unless a variable says otherwise
before the command starts. Settings and caches that libraries keep in the home folder go elsewhere:
what lies there must decide no result.
"""

import os
import tempfile

OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "YOLO_OFFLINE": "true",
    "YOLO_AUTOINSTALL": "false",
    "ULTRALYTICS_SAFE_LOAD": "1",
    "WANDB_MODE": "disabled",
    "TOKENIZERS_PARALLELISM": "false",
}
"""Variable -> value; the workflow exports them to every command."""

# Folder of ultralytics' settings file and of matplotlib's settings and font list. Jobs that run
# side by side must not share the former, and a matplotlibrc would change the figures.
_HOME_FOLDERS = ("YOLO_CONFIG_DIR", "MPLCONFIGDIR")
_FOLDERS: list[tempfile.TemporaryDirectory] = []


def set_offline() -> None:
    """Forbid downloads and telemetry of every library that knows a switch for it."""
    for name, value in OFFLINE.items():
        os.environ.setdefault(name, value)


def leave_home_alone() -> None:
    """Give libraries that write to the home folder when imported a folder of this process."""
    for name in _HOME_FOLDERS:
        if name not in os.environ:
            _FOLDERS.append(tempfile.TemporaryDirectory(prefix="mner-"))
            os.environ[name] = _FOLDERS[-1].name
