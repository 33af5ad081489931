"""URLs, names and redirects that lead where nobody should go, and how each photo must end."""

from pathlib import Path

from dev.listings import photo_files
from tests.faults.cases import PUBLIC, PUBLIC_V6, ZONE, Case
from tests.origins import Behaviour, answer, hang, in_turn, redirect

_BAD_URLS = {
    "file": "file:///etc/passwd",
    "ftp": f"ftp://i1-ftp.{ZONE}/p.jpg",
    "gopher": f"gopher://i1-gopher.{ZONE}/_GET%20/",
    "data": "data:image/png;base64,iVBORw0KGgo=",
    "javascript": "javascript:alert(1)",
    "no scheme": f"i1-none.{ZONE}/p.jpg",
    "no host": "http:///p.jpg",
    "nothing": "",
    "user": f"http://user@i1-user.{ZONE}/p.jpg",
    "password": f"http://user:password@i1-password.{ZONE}/p.jpg",
    "two hosts": f"http://i1-one.{ZONE}@i1-two.{ZONE}/p.jpg",
    "line feed": f"http://i1-lf.{ZONE}/p\r\nHost: i1-evil.{ZONE}",
    "tab": f"http://i1-\ttab.{ZONE}/p.jpg",
    "escape": f"http://i1-esc.{ZONE}/\x1b[2J",
    "backslash": f"http://i1-back.{ZONE}\\@i1-slash.{ZONE}/p.jpg",
    "100 KB": f"http://i1-long.{ZONE}/" + "a" * 100_000,
}
_V4_HOSTS = [
    "127.0.0.1", "127.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1",
    "169.254.169.254", "168.63.129.16", "100.100.100.200", "0.0.0.0", "0", "2130706433",  # noqa: S104
    "0x7f000001", "017700000001", "0x7f.1", "0xa9.0xfe.0xa9.0xfe", "2852039166",
    "0251.0376.0251.0376", "012.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "\uff11\uff12\uff17.0.0.1", "10\u30020.0.1", "localhost", "LOCALHOST.",
]  # fmt: skip
_V6_HOSTS = {
    "loopback": "::1", "unspecified": "::", "mapped": "::ffff:127.0.0.1",
    "mapped, public": f"::ffff:{PUBLIC}", "compatible": "::10.0.0.1",
    "translated": "::ffff:0:10.0.0.1", "6to4": "2002:a00:1::1", "NAT64": "64:ff9b::a00:1",
    "NAT64, public": "64:ff9b::5db8:d822", "NAT64, local": "64:ff9b:1::a00:1",
    "Teredo": "2001:0:4136:e378:8000:63bf:f5ff:fffe", "ISATAP": "2a00:1450::5efe:10.0.0.1",
    "unique local": "fd00::1", "metadata": "fd00:ec2::254", "link-local": "fe80::1",
    "site-local": "fec0::1", "multicast": "ff0e::1", "documentation": "2001:db8::1",
    "not assigned": "4000::1",
}  # fmt: skip

#: What the name server says, answer after answer; the last one stays.
NAMES = {
    f"loops.{ZONE}": [["127.0.0.1"]],
    f"private.{ZONE}": [["10.0.0.1"]],
    f"metadata.{ZONE}": [["169.254.169.254"]],
    f"mapped.{ZONE}": [["::ffff:127.0.0.1"]],
    f"loops6.{ZONE}": [["::1"]],
    f"mixed.{ZONE}": [[PUBLIC, "127.0.0.1", "10.0.0.1"]],
    f"mixed6.{ZONE}": [[PUBLIC, "::1", "fd00::1"]],
    f"flips.{ZONE}": [[PUBLIC], ["127.0.0.1"]],
    f"six.{ZONE}": [[PUBLIC_V6]],
}

_REDIRECTS = {
    "loopback": ("http://127.0.0.1/p", "blocked_address"),
    "loopback in decimal": ("http://2130706433/p", "blocked_address"),
    "loopback in IPv6": ("http://[::1]/p", "blocked_address"),
    "private": ("//10.0.0.1/p", "blocked_address"),
    "metadata": ("http://169.254.169.254/latest/meta-data/", "blocked_address"),
    "private name": (f"http://private.{ZONE}/p", "blocked_address"),
    "file": ("file:///etc/passwd", "bad_url"),
    "gopher": (f"gopher://i5-gopher.{ZONE}/", "bad_url"),
    "odd port": (f"http://i5-port.{ZONE}:6379/", "bad_url"),
    "user": (f"http://user@i5-user.{ZONE}/", "bad_url"),
    "loop": ("/i5/loop", "too_many_redirects"),
    "too many": ("/i5/too-many?1", "too_many_redirects"),
    "denied host": (f"http://cdn.denied.{ZONE}/p", "blocked_host"),
}


def cases(photo_folder: Path) -> list[Case]:
    """Every photo of the run, the good ones among them."""
    good = photo_files(photo_folder)
    photo = answer(200, (photo_folder / good[0].path).read_bytes())
    return [
        *(Case("I1", f"I1 {name}", url, "bad_url") for name, url in _BAD_URLS.items()),
        *(Case("I2", f"I2 {host}", f"http://{host}/p", "blocked_address") for host in _V4_HOSTS),
        *(
            Case("I3", f"I3 {name}", f"http://[{host}]/p", "blocked_address")
            for name, host in _V6_HOSTS.items()
        ),
        *_names(photo),
        *_redirects(photo),
        *(
            Case("I6", f"I6 port {port}", f"http://i6-{port}.{ZONE}:{port}/p", "bad_url")
            for port in (22, 6379, 8080, 0, 65536)
        ),
        Case("I6", "I6 no proxy", f"http://i6.{ZONE}/i6", "tagged", serves={"/i6": photo}),
        Case("", "denied", f"http://denied.{ZONE}/p", "blocked_host"),
        *(Case("", f"good {p.path}", f"http://photos.{ZONE}/{p.path}", "tagged") for p in good),
    ]


def _names(photo: Behaviour) -> list[Case]:
    either = ("tagged", "blocked_address")  # the address that is tried first decides
    return [
        *(
            Case("I4", f"I4 {name}", f"http://{name}.{ZONE}/i4", "blocked_address")
            for name in ("loops", "loops6", "private", "metadata", "mapped")
        ),
        *(
            Case("I4", f"I4 {name}", f"http://{name}.{ZONE}/i4", either, serves={"/i4": photo})
            for name in ("mixed", "mixed6")
        ),
        # Its first try ends too late; the second is another process's, which asks again.
        Case("I4", "I4 flips", f"http://flips.{ZONE}/i4/flips", "blocked_address", 2,
             {"/i4/flips": in_turn(hang(), photo)}),
        Case("I4", "I4 a public IPv6 address", f"http://six.{ZONE}/i4", "tagged"),
    ]  # fmt: skip


def _redirects(photo: Behaviour) -> list[Case]:
    chain = {f"/i5/hop{n}": redirect(f"/i5/hop{n - 1}") for n in range(1, 4)}
    return [
        *(
            Case("I5", f"I5 {name}", f"http://i5.{ZONE}{path}", end,
                 serves={path: redirect(location)})
            for name, (location, end) in _REDIRECTS.items()
            for path in (f"/i5/{name.replace(' ', '-')}",)
        ),
        Case("I5", "I5 three hops", f"http://i5.{ZONE}/i5/hop3", "tagged",
             serves=chain | {"/i5/hop0": photo}),
        Case("I5", "I5 another host", f"http://i5.{ZONE}/i5/away", "tagged",
             serves={"/i5/away": redirect(f"http://i5-other.{ZONE}/i5/hop0")}),
    ]  # fmt: skip
