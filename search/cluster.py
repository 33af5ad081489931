"""Requests to a search cluster: bounded in time and bytes, and sent to nobody else."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlsplit

import orjson
import pycurl

from shared.certificates import trusted_certificates
from shared.errors import IndexAway, SetupError

#: Of a request with documents; with those before it, shorter than a transaction may stay idle.
DEADLINE_S: Final = 15.0
#: Of a request that looks for an index, or makes it.
LOOK_S: Final = 5.0
_CONNECT_S: Final = 5.0
#: Of an answer: what it says of a batch, a refusal of each document with the words of it included.
MAX_ANSWER_BYTES: Final = 16 << 20
_REFUSE: Final = -1  # what makes libcurl end the transfer


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether it did what it was asked."""
        return 200 <= self.status < 300

    @property
    def error(self) -> dict[str, Any]:
        """What it says is wrong with the whole request."""
        try:
            error = orjson.loads(self.body)["error"]
        except (ValueError, KeyError, TypeError):
            return {}
        return error if isinstance(error, dict) else {}  # pyright: ignore[reportUnknownVariableType]

    def __str__(self) -> str:
        return f"HTTP {self.status}: {self.body[:500].decode(errors='replace')}".strip(": ")


class Unanswered(IndexAway):
    """The search index gave no answer to a request that it was sent."""


class Cluster:
    """OpenSearch or Elasticsearch, by its URL."""

    def __init__(self, url: str, *, ca_file: Path | None, deadline_s: float) -> None:
        """Makes no connection yet.

        Args:
            url: with user and password where it wants them.
            ca_file: certificates of authorities, in PEM, that are trusted instead of the usual.
            deadline_s: of each request, from the look-up of a name to the answer's last byte.

        Raises:
            SetupError: that is not a URL of such a cluster, or the file cannot be read.
        """
        parts, port = _parts(url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        self.place = f"{host}{f':{port}' if port else ''}{parts.path.rstrip('/')}"
        self._base = f"{parts.scheme}://{self.place}"
        self._deadline_s = deadline_s
        self._curl = pycurl.Curl()  # keeps its connection from one request to the next
        self._options: list[tuple[int, Any]] = [
            (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
            (pycurl.FOLLOWLOCATION, 0),  # nobody else is to have the documents
            (pycurl.PROXY, ""),  # whatever the environment says
            (pycurl.NETRC, pycurl.NETRC_IGNORED),
            (pycurl.NOSIGNAL, 1),
            (pycurl.CAINFO, _readable(ca_file) if ca_file else trusted_certificates()),
            (pycurl.CONNECTTIMEOUT_MS, round(_CONNECT_S * 1000)),
        ]
        if parts.username is not None:
            self._options += [
                (pycurl.HTTPAUTH, pycurl.HTTPAUTH_BASIC),
                (pycurl.USERNAME, unquote(parts.username)),
                (pycurl.PASSWORD, unquote(parts.password or "")),
            ]

    def ask(
        self, method: str, path: str, body: bytes | None, *, deadline_s: float | None = None
    ) -> Answer:
        """One request and its answer.

        Raises:
            IndexAway: there is none, not in time or no end of it; `Unanswered`, where it got the
                request.
        """
        kind = "x-ndjson" if path.endswith("/_bulk") else "json"
        received = bytearray()

        def take(part: bytes) -> int | None:
            if len(received) + len(part) > MAX_ANSWER_BYTES:
                return _REFUSE
            received.extend(part)
            return None

        curl = self._curl
        curl.reset()
        for option, value in self._options:
            curl.setopt(option, value)
        curl.setopt(pycurl.URL, f"{self._base}/{path}")
        curl.setopt(pycurl.WRITEFUNCTION, take)
        if body is None:
            curl.setopt(pycurl.NOBODY, 1)
        else:
            curl.setopt(pycurl.POSTFIELDS, body)
            # Without Expect: it would wait a second for leave to send a large body.
            curl.setopt(pycurl.HTTPHEADER, [f"Content-Type: application/{kind}", "Expect:"])
        curl.setopt(pycurl.CUSTOMREQUEST, method)
        curl.setopt(pycurl.TIMEOUT_MS, round((deadline_s or self._deadline_s) * 1000))
        try:
            curl.perform()
        except pycurl.error as error:
            code = int(error.args[0])
            words = (
                f"its answer has more than {MAX_ANSWER_BYTES} bytes"
                if code == pycurl.E_WRITE_ERROR
                # Such as what is wrong with a certificate; the password is in no URL of its.
                else curl.errstr() or pycurl.easy_strerror(code)
            )
            sent = curl.getinfo(pycurl.REQUEST_SIZE) > 0
            raise (Unanswered if sent else IndexAway)(f"{self.place}: {words}") from None
        return Answer(curl.getinfo(pycurl.RESPONSE_CODE), bytes(received))


def _parts(url: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port
        known = parts.scheme in ("http", "https") and parts.hostname
        # Behind a slash an @ is no user's end: it is of a password with a slash in it.
        if known and "@" not in parts.path and not parts.query and not parts.fragment:
            return parts, port
    except ValueError:
        pass
    # Not a word of the URL itself: it may hold a password.
    raise SetupError("the index's URL must be http(s)://[user:password@]host[:port][/path]")


def _readable(file: Path) -> str:
    try:
        with file.open("rb"):
            return str(file)
    except OSError as error:
        raise SetupError(f"TAGGER_INDEX_CA_FILE: it cannot be read: {error.strerror}") from None
