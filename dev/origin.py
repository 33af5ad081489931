"""A photo origin on loopback: static files over HTTP/1.1, in a process of its own.

`python -m dev.origin FOLDER --port N` serves until Ctrl-C. One event loop and no framework:
what is measured against it should wait for the network, not for this server's CPU.
"""

import argparse
import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self
from urllib.parse import unquote_to_bytes

from dev.processes import HOST
from shared.errors import SetupError

MAX_HEAD_BYTES = 16 << 10
CONTENT_TYPES = {
    ".avif": "image/avif",
    ".bmp": "image/bmp",
    ".gif": "image/gif",
    ".heic": "image/heic",
    ".html": "text/html; charset=utf-8",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".txt": "text/plain; charset=utf-8",
    ".webp": "image/webp",
}
REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed"}


class Origin:
    """Serves a folder while in its `with` block, and no longer than this process lives."""

    url: str  #: without a slash at its end; set on entering

    def __init__(self, folder: Path, port: int = 0) -> None:
        """`port` 0 takes a free one.

        Raises (on entering):
            SetupError: there is no such folder, or the port is taken.
        """
        self._folder = folder.resolve()
        self._port = port

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "dev.origin", str(self._folder)),
                *("--port", str(self._port), "--until-stdin-closes"),
            ],
            cwd=Path(__file__).resolve().parent.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout is not None  # noqa: S101  # for the type checker
        answer = self._process.stdout.readline().strip()
        if not answer.startswith("http://"):
            self.__exit__()
            raise SetupError(answer or f"the origin of {self._folder} does not start")
        self.url = answer
        return self

    @property
    def pid(self) -> int:
        """The process that serves."""
        return self._process.pid

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        with self._process:  # closes its pipes and waits
            pass


def serve(folder: Path, port: int, started: Callable[[str], None], *, leashed: bool) -> None:
    """Serve until SIGINT or SIGTERM, or until standard input closes where `leashed`.

    Args:
        folder: what lies in it is public to every program of this machine.
        port: on 127.0.0.1; 0 takes a free one.
        started: called with the URL once connections are accepted.
        leashed: end with the process that holds the other end of standard input.

    Raises:
        SetupError: there is no such folder, or the port is taken.
    """
    if not folder.is_dir():
        raise SetupError(f"{folder} is not a folder")
    asyncio.run(_serve(folder.resolve(), port, started, leashed=leashed))


async def _serve(folder: Path, port: int, started: Callable[[str], None], *, leashed: bool) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    if leashed:
        threading.Thread(target=_await_end_of_input, args=(loop, stopped), daemon=True).start()
    try:
        server = await loop.create_server(lambda: _Connection(folder), HOST, port, backlog=1024)
    except OSError as error:
        raise SetupError(f"cannot serve on port {port}: {error.strerror}") from error
    # Not `async with`: from Python 3.12 on it waits for every idle client to hang up.
    started(f"http://{HOST}:{server.sockets[0].getsockname()[1]}")
    await stopped.wait()
    server.close()


def _await_end_of_input(loop: asyncio.AbstractEventLoop, stopped: asyncio.Event) -> None:
    sys.stdin.read()
    loop.call_soon_threadsafe(stopped.set)


class _Connection(asyncio.Protocol):
    """One client: request after request (RFC 9112), answered in their order."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._received = b""
        self._writable = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # asyncio's promise
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._answer()

    def pause_writing(self) -> None:
        # A client that asks and does not read gets no further photos piled up in memory.
        self._writable = False
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._writable = True
        self._transport.resume_reading()
        self._answer()

    def _answer(self) -> None:
        while self._writable and not self._transport.is_closing():
            head, end, rest = self._received.partition(b"\r\n\r\n")
            if not end:
                if len(head) > MAX_HEAD_BYTES:
                    self._reply(400, keep=False)
                return
            self._received = rest
            self._handle(head)

    def _handle(self, head: bytes) -> None:
        request, _, fields = head.partition(b"\r\n")
        parts = request.split(b" ")
        if len(parts) != 3 or parts[2] not in {b"HTTP/1.1", b"HTTP/1.0"}:
            self._reply(400, keep=False)
            return
        headers = b"\r\n" + fields.lower()
        if b"\r\ncontent-length:" in headers or b"\r\ntransfer-encoding:" in headers:
            self._reply(400, keep=False)  # a body would be read as the next request
            return
        method, target, version = parts
        keep = version == b"HTTP/1.1" and b"\r\nconnection: close" not in headers
        if method not in {b"GET", b"HEAD"}:
            self._reply(405, keep=keep)
            return
        found = _read(self._folder, target)
        if found is None:
            self._reply(404, keep=keep, with_body=method == b"GET")
        else:
            self._reply(200, *found, keep=keep, with_body=method == b"GET")

    def _reply(
        self,
        status: int,
        body: bytes | None = None,
        content_type: str = "text/plain; charset=utf-8",
        *,
        keep: bool,
        with_body: bool = True,
    ) -> None:
        reason = REASONS[status]
        content = f"{reason}\n".encode() if body is None else body
        head = (
            f"HTTP/1.1 {status} {reason}\r\n"
            f"Content-Length: {len(content)}\r\n"
            f"Content-Type: {content_type}\r\n"
            "Allow: GET, HEAD\r\n"
            f"Connection: {'keep-alive' if keep else 'close'}\r\n\r\n"
        ).encode()
        self._transport.write(head + content if with_body else head)
        if not keep:
            self._transport.close()


def _read(folder: Path, target: bytes) -> tuple[bytes, str] | None:
    """A file's bytes and content type; None for what is not a file inside the folder."""
    encoded = target.partition(b"?")[0]
    if not encoded.startswith(b"/"):
        return None
    try:
        name = unquote_to_bytes(encoded).decode()
        # Resolved first: neither `..`, however it is encoded, nor a link leads out.
        path = (folder / name.lstrip("/")).resolve()
        if not path.is_relative_to(folder):
            return None
        content = path.read_bytes()
    except (OSError, ValueError):  # ValueError: not UTF-8, or a NUL
        return None
    return content, CONTENT_TYPES.get(path.suffix.lower(), "application/octet-stream")


def _main() -> int:
    parser = argparse.ArgumentParser(prog="python -m dev.origin", description=serve.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--until-stdin-closes", action="store_true")
    options = parser.parse_args()

    def say(line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    try:
        serve(options.folder, options.port, say, leashed=options.until_stdin_closes)
    except SetupError as error:
        say(error.detail)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main())
