"""Networks of the tests' own: one for a whole run, and one that owns every address there is.

In the latter, whoever is dialled, be it a private network or a cloud's metadata service, is a
listener of the test, and nothing can leave. It needs user namespaces, which not every machine
allows.
"""

import ctypes
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

_CLONE_NEWNET = 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_RTM_NEWROUTE, _NLM_F_REQUEST_CREATE_ACK, _NLMSG_ERROR = 24, 0x405, 2
_RT_TABLE_LOCAL, _RTPROT_BOOT, _RTN_LOCAL, _RTA_OIF = 255, 3, 2, 4
_LOOPBACK = 1  # the index of `lo` in every network

#: What a name resolves to: IPv4 and IPv6 addresses.
Addresses = Sequence[str]


def command(folder: Path, code: str, *arguments: str) -> list[str]:
    """What runs Python code in a new network whose names this test serves on 127.0.0.1.

    Skips the test where no namespaces are to be had. `folder` is for the resolver's settings.
    """
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rmn", "true"], check=False).returncode:
        pytest.skip("needs network namespaces for ordinary users")
    resolver = folder / "resolv.conf"
    resolver.write_text("nameserver 127.0.0.1\noptions attempts:3 timeout:2\n")
    script = 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'
    python = [sys.executable, "-c", code, *arguments]
    return [unshare, "-rmn", "sh", "-c", script, "sh", str(resolver), *python]


def leave_the_machines_network() -> None:
    """Moves this process and all that it starts to a network that holds nothing but loopback.

    So nothing that a test sends can leave, and no address that it takes is another's. Needs
    root; without it nothing changes. To be called before any thread is started.
    """
    if os.geteuid() == 0 and ctypes.CDLL(None).unshare(_CLONE_NEWNET) == 0:
        _bring_loopback_up()


def is_own() -> bool:
    """Whether this process is in a network that holds nothing but loopback."""
    return [name for _, name in socket.if_nameindex()] == ["lo"]


def own_every_address() -> None:
    """Brings loopback up and routes every address of both families to it. Inside only."""
    _bring_loopback_up()
    for family, scope in ((socket.AF_INET, 254), (socket.AF_INET6, 0)):
        _add_local_default_route(family, scope)


def _bring_loopback_up() -> None:
    with socket.socket() as any_socket:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))


def _add_local_default_route(family: int, scope: int) -> None:
    route = struct.pack(
        "=8BI", family, 0, 0, 0, _RT_TABLE_LOCAL, _RTPROT_BOOT, scope, _RTN_LOCAL, 0
    ) + struct.pack("=HHI", 8, _RTA_OIF, _LOOPBACK)
    head = struct.pack("=IHHII", 16 + len(route), _RTM_NEWROUTE, _NLM_F_REQUEST_CREATE_ACK, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
        netlink.send(head + route)
        answer = netlink.recv(4096)
    kind, error = struct.unpack_from("=H", answer, 4)[0], struct.unpack_from("=i", answer, 16)[0]
    assert kind == _NLMSG_ERROR
    if error:
        raise OSError(-error, "no route to every address")


class NameServer:
    """Answers A and AAAA queries on 127.0.0.1:53 as a hostile zone would. Inside only.

    Attributes:
        asked: how often each name was asked for, whatever its type.
    """

    def __init__(
        self, names: Mapping[str, Sequence[Addresses]], default: Callable[[str], Addresses]
    ) -> None:
        """Starts nothing yet.

        Args:
            names: the answers of some names, one after another; the last one stays.
            default: the answer of all others.
        """
        self._names = names
        self._default = default
        self._turns: Counter[tuple[str, int]] = Counter()
        self.asked: Counter[str] = Counter()

    def start(self) -> None:
        """Serves from now on, as long as the process lives."""
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind(("127.0.0.1", 53))
        threading.Thread(target=self._serve, args=(server,), daemon=True).start()

    def _serve(self, server: socket.socket) -> None:
        while True:
            query, client = server.recvfrom(512)
            server.sendto(self._answer(query), client)

    def _answer(self, query: bytes) -> bytes:
        end, labels = 12, list[str]()
        while length := query[end]:
            labels.append(query[end + 1 : end + 1 + length].decode("latin-1"))
            end += 1 + length
        kind = int.from_bytes(query[end + 1 : end + 3])
        found = [_record(kind, a) for a in self._addresses(".".join(labels).lower(), kind)]
        records = [record for record in found if record]
        head = query[:2] + struct.pack(">HHHHH", 0x8180, 1, len(records), 0, 0)
        return head + query[12 : end + 5] + b"".join(records)

    def _addresses(self, name: str, kind: int) -> Addresses:
        self.asked[name] += 1
        answers = self._names.get(name)
        if answers is None:
            return self._default(name)
        turn = self._turns[name, kind]
        self._turns[name, kind] += 1
        return answers[min(turn, len(answers) - 1)]


def _record(kind: int, address: str) -> bytes:
    """One resource record (RFC 1035, section 4.1.3); empty if the address is not of that type."""
    family, its_kind = (socket.AF_INET6, 28) if ":" in address else (socket.AF_INET, 1)
    if kind != its_kind:
        return b""
    data = socket.inet_pton(family, address)
    return b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 0, len(data)) + data
