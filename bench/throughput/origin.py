"""The photo origin's process: started with a set of photos, ended with the `with` block."""

import subprocess
import sys
import threading
from pathlib import Path
from typing import Final, Self

from bench.throughput.photos import PhotoSet
from shared.errors import SetupError

_START_S: Final = 60.0


class Origin:
    """Serves a set of photos while in its `with` block, in a process of its own."""

    url: str  #: without a slash at its end; set on entering
    urls: tuple[str, ...]  #: one a host, the first of them `url`; set on entering
    pid: int  #: set on entering

    def __init__(
        self,
        photos: PhotoSet,
        *,
        latency_ms: int = 0,
        hang_ms: int = 0,
        hosts: int = 1,
        certificate: Path | None = None,
    ) -> None:
        """Starts nothing yet.

        Args:
            photos: what it serves.
            latency_ms: how much later it answers each request.
            hang_ms: how much later it answers where the query ends with `serving.HANG`; as any
                other by default.
            hosts: how many loopback addresses it answers at, 127.0.0.1 on.
            certificate: a PEM file with certificate and key; with one it speaks HTTPS.
        """
        self._command = [
            *(sys.executable, "-m", "bench.throughput.serving", str(photos.folder.resolve())),
            *("--latency-ms", str(latency_ms), "--hang-ms", str(hang_ms), "--hosts", str(hosts)),
            *(("--certificate", str(certificate.resolve())) if certificate else ()),
        ]
        self._names = "".join(f"{file}\n" for file in photos.files)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            cwd=Path(__file__).resolve().parent.parent.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdin is not None  # noqa: S101  # for the type checker
        assert self._process.stdout is not None  # noqa: S101
        self.pid = self._process.pid
        late = threading.Timer(_START_S, self._process.kill)
        late.start()
        try:
            self._process.stdin.write(f"{self._names}\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline().strip()
        finally:
            late.cancel()
        if not answer.startswith("http"):
            self.__exit__()
            raise SetupError(answer or "the origin does not start")
        self.urls = tuple(answer.split())
        self.url = self.urls[0]
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        with self._process:  # closes its pipes and waits
            pass
