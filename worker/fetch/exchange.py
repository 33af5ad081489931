"""One request and its answer: what libcurl may dial, read and keep, and how it may fail."""

import socket
from collections.abc import Callable
from ipaddress import ip_address
from typing import Final

import pycurl

from shared.certificates import trusted_certificates
from shared.errors import (
    BadResponse,
    BlockedAddress,
    BlockedHost,
    FetchError,
    TlsFailed,
    TooLarge,
    TooSlow,
    Truncated,
    Unreachable,
    Unresolvable,
)
from shared.settings import PhotoLimits
from worker.fetch.address import hands_out_credentials, is_public
from worker.fetch.answer import Head
from worker.fetch.policy import denied_addresses
from worker.fetch.robots import product_token

#: The body of a redirect or an error is read up to here, to keep its connection, and dropped.
MAX_DROPPED_BYTES: Final = 64 << 10
#: Room for a whole small photo in one call of the body callback.
BUFFER_BYTES: Final = 128 << 10
DNS_CACHE_S: Final = 600
#: Hosts that choose a format by this header must not choose one that is not decoded.
ACCEPT: Final = "Accept: image/jpeg, image/png, image/webp, */*;q=0.1"

_REFUSE: Final = -1  # what a callback answers to make libcurl end the transfer

_ERRORS: Final[dict[int, Callable[[str], FetchError]]] = {
    pycurl.E_COULDNT_RESOLVE_HOST: Unresolvable,
    pycurl.E_COULDNT_CONNECT: Unreachable,
    pycurl.E_OPERATION_TIMEDOUT: TooSlow,
    pycurl.E_PARTIAL_FILE: Truncated,
    pycurl.E_RECV_ERROR: Truncated,
    pycurl.E_SEND_ERROR: Truncated,
    pycurl.E_GOT_NOTHING: Truncated,
    pycurl.E_SSL_CONNECT_ERROR: TlsFailed,
    pycurl.E_PEER_FAILED_VERIFICATION: TlsFailed,
    pycurl.E_SSL_CERTPROBLEM: TlsFailed,
    pycurl.E_SSL_CIPHER: TlsFailed,
    pycurl.E_SSL_CACERT_BADFILE: TlsFailed,
    pycurl.E_SSL_ISSUER_ERROR: TlsFailed,
    pycurl.E_SSL_INVALIDCERTSTATUS: TlsFailed,
}


class Exchange:
    """An easy handle, used for one request after another.

    Attributes:
        curl: the handle, for the reactor.
    """

    def __init__(self, settings: PhotoLimits) -> None:
        self._allow_private = settings.allow_private_hosts
        self._denied = denied_addresses(settings)
        self._max_bytes = settings.max_photo_bytes
        self._robot = product_token(settings.agent) if settings.respect_robots_tag else None
        self._reset()
        self.curl = curl = pycurl.Curl()
        for option, value in (
            (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
            (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
            (pycurl.FOLLOWLOCATION, 0),  # each hop is checked by us
            (pycurl.PROXY, ""),  # whatever the environment says: a proxy would dial for us
            (pycurl.NOPROXY, "*"),
            (pycurl.NETRC, pycurl.NETRC_IGNORED),
            (pycurl.NOSIGNAL, 1),
            (pycurl.SSL_VERIFYPEER, 1),
            (pycurl.SSL_VERIFYHOST, 2),
            (pycurl.CAINFO, trusted_certificates()),
            (pycurl.USERAGENT, settings.agent),
            (pycurl.HTTPHEADER, [ACCEPT]),
            (pycurl.BUFFERSIZE, BUFFER_BYTES),
            # Each address is judged when it is dialled, so an old answer does no harm.
            (pycurl.DNS_CACHE_TIMEOUT, DNS_CACHE_S),
            (pycurl.OPENSOCKETFUNCTION, self._on_socket),
            (pycurl.HEADERFUNCTION, self._on_header),
            (pycurl.WRITEFUNCTION, self._on_body),
        ):
            curl.setopt(option, value)

    def prepare(self, url: str, *, timeout_s: float) -> None:
        """Aim at a URL that `check_url` returned; `timeout_s` bounds all of the request.

        Raises:
            pycurl.error: libcurl does not take the URL.
        """
        self._reset()
        self.curl.setopt(pycurl.URL, url)
        self.curl.setopt(pycurl.TIMEOUT_MS, max(1, round(timeout_s * 1000)))

    @property
    def redirect(self) -> str | None:
        """Where the answer sends us, as the origin wrote it; None if it does not."""
        return None if self._refusal else self._head.redirect

    def take_body(self, code: int, words: str) -> bytes:
        """The photo, once libcurl has ended the request with `code` and `words`.

        Raises:
            FetchError: there is none.
        """
        error = self._refusal or self._error(code, words)
        if error is not None:
            raise error
        body = b"".join(self._body)
        self._body.clear()
        return body

    def release(self) -> None:
        """Let go of what the last answer held in memory."""
        self._reset()

    def close(self) -> None:
        """Free the handle."""
        self.curl.close()

    def _reset(self) -> None:
        self._head = Head()
        self._body: list[bytes] = []
        self._read_bytes = 0
        self._refusal: FetchError | None = None

    def _error(self, code: int, words: str) -> FetchError | None:
        # A final status tells more than how its body ended: nobody wants to read that.
        if self._head.complete and self._head.status >= 200:
            error = self._head.error()
            if error is not None:
                return error
        if code == pycurl.E_OK:
            return None if self._head.status == 200 else BadResponse("no HTTP answer")
        return _ERRORS.get(code, BadResponse)(_plain(words or pycurl.easy_strerror(code)))

    def _on_socket(self, _purpose: int, address: pycurl.CurlSockAddr) -> socket.socket | int:
        """Open a socket for the very address that is dialled next, or refuse to.

        One bad address refuses the whole request, even if the host has good ones too.
        """
        dialled = str(address.addr[0])
        # These stay shut in any case: clouds hand out credentials there.
        if hands_out_credentials(dialled) or not (self._allow_private or is_public(dialled)):
            self._refusal = BlockedAddress(dialled)
        elif self._denied and ip_address(dialled) in self._denied:
            self._refusal = BlockedHost("its address is among TAGGER_DENIED_HOSTS")
        if self._refusal is not None:
            return pycurl.SOCKET_BAD
        try:
            return socket.socket(address.family, address.socktype, address.protocol)
        except OSError as error:
            self._refusal = Unreachable(f"no socket: {error.strerror}")
            return pycurl.SOCKET_BAD

    def _on_header(self, line: bytes) -> int | None:
        try:
            self._head.feed(line)
            if self._head.complete and self._head.status == 200:
                self._head.check_body(self._max_bytes)
                if self._robot is not None:
                    self._head.check_robots(self._robot)
        except FetchError as error:
            self._refusal = error.with_traceback(None)
            return _REFUSE
        return None

    def _on_body(self, chunk: bytes) -> int | None:
        self._read_bytes += len(chunk)
        if self._head.status != 200:
            return _REFUSE if self._read_bytes > MAX_DROPPED_BYTES else None
        if self._read_bytes > self._max_bytes:
            self._refusal = TooLarge(f"more than {self._max_bytes} bytes")
            self._body.clear()
            return _REFUSE
        self._body.append(chunk)
        return None


def _plain(words: str) -> str:
    """libcurl's words fit for a log and a table: short, printable, ASCII."""
    return "".join(c if " " <= c <= "~" else "?" for c in words[:200])
