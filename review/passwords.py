"""Passwords: made here, so that none is weak, and kept as hashes.

Of 120 random bits, no hash can be guessed back, however fast it is made: NIST SP 800-63B, section
5.1.2.2, asks a slow one, and a limit of tries, of secrets with fewer than 112 and 64 bits. So a
stranger's tries cost no more than any other request, and lock nobody out.
"""

import base64
import hashlib
import hmac
import secrets
from typing import Final

_BYTES: Final = 15  # 120 bits; 24 characters in base 32


def new_password() -> str:
    """A password in base 32, in groups of four that can be read out."""
    letters = base64.b32encode(secrets.token_bytes(_BYTES)).decode().lower()
    return "-".join(letters[start : start + 4] for start in range(0, len(letters), 4))


def hashed(password: str) -> bytes:
    """What is stored of a password: its SHA-256."""
    return hashlib.sha256(password.encode(errors="replace")).digest()


def fits(password: str, stored: bytes | None) -> bool:
    """Whether it is the password; never where none is stored."""
    return stored is not None and hmac.compare_digest(hashed(password), stored)
