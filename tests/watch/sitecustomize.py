"""Record what each Python process does outside: its network calls, and the files it changes.

Python imports a module of this name when it starts. With this folder on PYTHONPATH, every process
appends a line `event<TAB>path or address` to the file `$WATCH_LOG`; nothing is changed or stopped.
"""

import os
import sys

NETWORK = {
    "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr",
    "socket.sendto", "socket.sendmsg", "urllib.Request", "http.client.connect", "ftplib.connect",
    "smtplib.connect",
}  # fmt: skip
CHANGES = {
    "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate",
    "sqlite3.connect",
}  # fmt: skip
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
_LOG = os.environ.get("WATCH_LOG", "")


def _line(event: str, args: tuple) -> str:
    """Return what to record of an event, or nothing."""
    if event in NETWORK:
        # A local socket of two processes of the run has a path or no name for an address.
        address = args[1] if event.startswith(("socket.connect", "socket.send")) else args
        return f"network {event}\t{address!r}" if isinstance(address, tuple) else ""
    if event == "open" and isinstance(args[0], (str, bytes)):
        kind = "write" if args[2] & _WRITING else "read"
        return f"{kind}\t{os.path.abspath(os.fsdecode(args[0]))}"
    if event in CHANGES:
        target = args[1] if event in ("os.rename", "os.link", "os.symlink") else args[0]
        # Below a folder that is open (`dir_fd`, the last), the name says nothing about the place.
        is_below = event != "os.truncate" and isinstance(args[-1], int) and args[-1] >= 0
        if isinstance(target, (str, bytes)) and not is_below:
            return f"write\t{os.path.abspath(os.fsdecode(target))}"
    return ""


def _watch(path: str) -> None:
    # Opened once: an open in the hook would call the hook.
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def hook(event: str, args: tuple) -> None:
        line = _line(event, args)
        if line:
            os.write(log, f"{line}\n".encode(errors="backslashreplace"))

    sys.addaudithook(hook)


if _LOG:
    _watch(_LOG)
