"""URLs, names and redirects that lead where nobody should go end there, and nobody is dialled."""

from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Engine

from dev.fleet import Fleet
from dev.listings import PhotoFile, photo_files
from dev.services import Services
from tests.faults.aftermath import Aftermath
from tests.faults.world import (
    PROXY,
    PUBLIC,
    PUBLIC_V6,
    ZONE,
    Case,
    End,
    Seen,
    ends,
    inhabited,
    publish,
)
from tests.origins import Behaviour, answer, hang, in_turn, redirect
from tests.settled import Tags

pytestmark = pytest.mark.timeout(240)

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


@dataclass(frozen=True)
class _Run:
    cases: list[Case]
    ends: dict[str, End]
    seen: Seen
    engine: Engine
    fleet: Fleet

    def of(self, row: str) -> list[Case]:
        return [case for case in self.cases if case.row == row]

    def check(self, row: str) -> None:
        """Each photo of a row has ended as it must."""
        found = {
            case.name: (self.ends[case.name].end, self.ends[case.name].attempts)
            for case in self.of(row)
        }
        assert found == {
            case.name: (
                found[case.name][0] if found[case.name][0] in case.good_ends else case.ends,
                case.attempts,
            )
            for case in self.of(row)
        }


@pytest.fixture(scope="module")
def run(
    servers: Services,
    _template: str,
    photo_folder: Path,
    calm_tags: dict[str, Tags],
    tmp_path_factory: pytest.TempPathFactory,
) -> Generator[_Run]:
    """All photos of this file, tagged or refused by one worker."""
    table = cases(photo_folder)
    variables = ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
    with inhabited(
        servers,
        _template,
        photo_folder,
        tmp_path_factory.mktemp("urls"),
        __name__,
        TAGGER_DENIED_HOSTS=f"denied.{ZONE}",
        **dict.fromkeys(variables, f"http://{PROXY}"),
    ) as (world, fleet, engine):
        publish(fleet, table)
        aftermath = Aftermath(engine, fleet, calm_tags, lambda _name, _value: None)
        aftermath.check(len(table), timeout_s=90)
        yield _Run(table, ends(engine), world.see(), engine, fleet)


@pytest.mark.row("I1")
def test_what_is_no_url_for_photos_is_refused_before_its_name_is_asked_for(run: _Run) -> None:
    run.check("I1")
    assert [name for name in run.seen.asked if name.startswith("i1-")] == []


@pytest.mark.row("I2")
def test_private_ipv4_addresses_are_refused_in_every_spelling(run: _Run) -> None:
    run.check("I2")


@pytest.mark.row("I3")
def test_ipv6_that_is_private_or_carries_ipv4_is_refused(run: _Run) -> None:
    run.check("I3")


@pytest.mark.row("I4")
def test_names_lead_to_public_addresses_only(run: _Run) -> None:
    run.check("I4")
    for name in ("loops", "private", "metadata", "mixed", "mixed6"):
        assert run.seen.asked[f"{name}.{ZONE}"] > 0
    assert len(run.seen.visits["/i4/flips"]) == 1, "it was dialled while it was public"
    assert run.seen.asked[f"flips.{ZONE}"] >= 2, "and asked for again"


@pytest.mark.row("I5")
def test_redirects_are_held_to_the_same_rules_and_end(run: _Run) -> None:
    run.check("I5")
    assert len(run.seen.visits["/i5/loop"]) == 4
    assert [name for name in run.seen.asked if name.startswith(("i5-gopher", "i5-port"))] == []


@pytest.mark.row("I6")
def test_odd_ports_are_refused_and_a_proxy_of_the_environment_is_not_asked(run: _Run) -> None:
    run.check("I6")
    proxy = PROXY.replace(":", " ")
    assert run.seen.dialled[proxy] == 0


@pytest.mark.row("I1", "I2", "I3", "I4", "I5", "I6")
def test_nobody_was_dialled_but_the_two_public_addresses(run: _Run) -> None:
    assert {*run.seen.dialled} == {f"{PUBLIC} 80", f"{PUBLIC_V6} 80"}, Counter(run.seen.dialled)


def test_hosts_that_the_operator_denies_are_not_asked_for(run: _Run) -> None:
    run.check("")
    assert [name for name in run.seen.asked if name.endswith(f"denied.{ZONE}")] == []


def test_the_photos_beside_them_are_tagged_as_in_a_calm_run(
    run: _Run, photos: list[PhotoFile], calm_tags: dict[str, Tags]
) -> None:
    for photo in photos:
        assert run.ends[f"good {photo.path}"] == End("tagged", 1, calm_tags[f"/{photo.path}"])
    for case in run.cases:
        if run.ends[case.name].end == "tagged" and case.row:
            assert run.ends[case.name].tags == calm_tags[f"/{photos[0].path}"], case.name
