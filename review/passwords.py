"""Passwords: made here, so that none is weak, and kept as scrypt hashes (RFC 7914)."""

import base64
import hashlib
import hmac
import secrets
from typing import Final

_BYTES: Final = 15  # 120 bits; 24 characters in base 32
#: 32 MiB and some 50 ms a guess.
_COST: Final = {"n": 1 << 15, "r": 8, "p": 1}
_MAX_MEMORY: Final = 64 << 20
#: Longer ones are nobody's.
MAX_CHARACTERS: Final = 200


def new_password() -> str:
    """A password in base 32, in groups of four that can be read out."""
    letters = base64.b32encode(secrets.token_bytes(_BYTES)).decode().lower()
    return "-".join(letters[start : start + 4] for start in range(0, len(letters), 4))


def hashed(password: str) -> str:
    """What is stored of a password: `scrypt$n$r$p$salt$key`, the last two in base 64."""
    salt = secrets.token_bytes(16)
    n, r, p = _COST.values()
    return "$".join(("scrypt", str(n), str(r), str(p), _text(salt), _text(_key(password, salt))))


def fits(password: str, stored: str | None) -> bool:
    """Whether it is the password; takes as long where none is stored."""
    salt, wanted = _taken_apart(stored or _NOBODYS)
    return hmac.compare_digest(_key(password, salt), wanted) and stored is not None


def _taken_apart(stored: str) -> tuple[bytes, bytes]:
    kind, n, r, p, salt, key = stored.split("$")
    if (kind, int(n), int(r), int(p)) != ("scrypt", *_COST.values()):
        raise ValueError("hashed with other costs; make the reviewer a new password")
    return base64.b64decode(salt), base64.b64decode(key)


def _key(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(
        password.encode(errors="replace"), salt=salt, maxmem=_MAX_MEMORY, dklen=32, **_COST
    )


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


_NOBODYS: Final = f"scrypt$32768$8$1${_text(bytes(16))}${_text(bytes(32))}"
