"""A certificate for the HTTPS origin, and a bundle of authorities that trusts it."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import certifi

from dev.processes import HOST
from shared.errors import SetupError


@dataclass(frozen=True, slots=True)
class Certificate:
    """Files in PEM form."""

    served: Path  #: certificate and key, for the origin
    trusted: Path  #: the world's authorities and this certificate, for whoever fetches


def make_certificate(folder: Path) -> Certificate:
    """A self-signed certificate for loopback, valid for two days.

    The bundle holds the world's authorities as well, because loading them is part of what an
    HTTPS client pays for.

    Raises:
        SetupError: there is no `openssl` command, or it refuses.
    """
    openssl = shutil.which("openssl")
    if openssl is None:
        raise SetupError("an HTTPS origin needs the openssl command")
    folder.mkdir(parents=True, exist_ok=True)
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    done = subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", f"/CN={HOST}"),
            *("-addext", f"subjectAltName=IP:{HOST}"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        raise SetupError(f"openssl: {done.stderr.strip()[-300:]}")
    found = Certificate(folder / "served.pem", folder / "trusted.pem")
    found.served.write_text(key.read_text() + certificate.read_text())
    found.trusted.write_text(Path(certifi.where()).read_text() + certificate.read_text())
    return found
