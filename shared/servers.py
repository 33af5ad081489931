"""Where the servers are, and other secrets: in variables, or in the files that these name.

A variable with _FILE behind its name holds the path of a file, as containers hand out secrets;
the file's content is the value. What is raised here names the variable and never quotes it: a
URL that was put into the wrong one of the two is a password too.
"""

import os
import stat
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from shared.errors import SetupError

#: Of the servers that nothing starts without.
VARIABLES: Final = ("DATABASE_URL", "REDIS_URL")
MAX_FILE_BYTES: Final = 16 << 10

#: What manuals and examples write where a password belongs, and what people make of it.
_WELL_KNOWN: Final = frozenset(
    {
        *("admin", "change-me", "change_me", "changeit", "changeme", "default", "demo", "example"),
        *("foobared", "guest", "pass", "passwd", "password", "postgres", "postgresql", "redis"),
        *("root", "secret", "tagger", "test", "valkey", "yourpassword", "your_password"),
        *("1234", "12345", "123456", "12345678", "123456789", "qwerty"),
    }
)


def given_secret(environment: Mapping[str, str], variable: str) -> str | None:
    """The value that an environment gives, itself or in a file; None where it gives none.

    An empty variable counts as not set.

    Raises:
        SetupError: both are given, or the file cannot be read or holds no value.
    """
    value = environment.get(variable)
    path = environment.get(f"{variable}_FILE")
    if value and path:
        raise SetupError(f"{variable} and {variable}_FILE are both set; only one can be meant")
    return _read(f"{variable}_FILE", path) if path else value or None


def refuse_known_password(variable: str, url: str) -> None:
    """Stops at a password that was announced and left empty, or that everybody knows.

    No password at all is right where a server tells its clients by certificate, by the user of
    the operating system or by its network. On this machine a well-known one is a developer's own
    affair.

    Raises:
        SetupError: see above.
    """
    try:
        parts = urlsplit(url)
        words = _passwords(parts)
        user = unquote(parts.username or "")
        local = _is_local(parts)
    except ValueError:
        return  # whoever connects to it says what is wrong with it
    if "" in words:
        raise SetupError(
            f"{variable} has an empty password, as a variable leaves behind that is not set; "
            "where none is needed, leave out its colon too"
        )
    if not local and any(word.lower() in _WELL_KNOWN or word == user for word in words):
        raise SetupError(f"{variable} has a password that anybody would try; choose another one")


def _passwords(parts: SplitResult) -> list[str]:
    named = parse_qs(parts.query, keep_blank_values=True).get("password", [])
    return named if parts.password is None else [unquote(parts.password), *named]


def _is_local(parts: SplitResult) -> bool:
    hosts = [parts.hostname or "", *parse_qs(parts.query).get("host", [])]
    return all(_is_this_machine(unquote(host)) for host in hosts)


def _is_this_machine(host: str) -> bool:
    if host in ("", "localhost") or host.startswith("/"):  # a folder: Unix sockets
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _at_once(path: str, flags: int) -> int:
    """Opens a file, and waits for no writer where it is a pipe."""
    return os.open(path, flags | os.O_NONBLOCK)


def _read(variable: str, path: str) -> str:
    try:
        with open(path, "rb", opener=_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise SetupError(f"{variable} names something that is no plain file")
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise SetupError(f"{variable}: its file cannot be read: {error.strerror}") from None
    if len(content) > MAX_FILE_BYTES:
        raise SetupError(f"{variable}: its file has more than {MAX_FILE_BYTES} bytes")
    try:
        value = content.decode().strip()
    except UnicodeDecodeError:
        raise SetupError(f"{variable}: its file is not text in UTF-8") from None
    if not value:
        raise SetupError(f"{variable}: its file is empty")
    if len(value.splitlines()) > 1:
        raise SetupError(f"{variable}: its file has more than one line")
    return value
