"""What may be dialled: addresses of every special range and URLs of every odd spelling."""

import ipaddress
import re
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import BadUrl
from worker.fetch.address import (
    MAX_URL_CHARACTERS,
    check_url,
    hands_out_credentials,
    is_public,
    join_redirect,
)

PORTS = frozenset({80, 443})


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.1",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2001:200::1",
        "2606:4700:4700::1111",
        "2a00:1450:4001:82a::200e",
        "2003::1",
    ],
)
def test_addresses_of_the_open_internet_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        # this network, private, shared, loopback, link-local
        "0.0.0.0",  # noqa: S104
        "0.255.255.255",
        "10.0.0.0",
        "10.255.255.255",
        "100.64.0.0",
        "100.100.100.200",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.255",
        "168.63.129.16",
        "169.254.0.0",
        "169.254.169.254",
        "169.254.255.255",
        "172.16.0.0",
        "172.31.255.255",
        "192.168.0.0",
        "192.168.255.255",
        # protocols, documentation, benchmarks
        "192.0.0.0",
        "192.0.0.192",
        "192.0.2.1",
        "192.31.196.1",
        "192.52.193.1",
        "192.88.99.1",
        "192.175.48.1",
        "198.18.0.0",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        # multicast, reserved, broadcast
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        # the same in IPv6
        "::",
        "::1",
        "100::1",
        "2001::1",
        "2001:2::1",
        "2001:10::1",
        "2001:20::1",
        "2001:db8::1",
        "2620:4f:8000::1",
        "3ffe::1",
        "3fff::1",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "febf::1",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
        "2606:4700:4700::1111%eth0",
        # IPv4 inside IPv6, public or not
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "::ffff:0:127.0.0.1",
        "::127.0.0.1",
        "::8.8.8.8",
        "64:ff9b::127.0.0.1",
        "64:ff9b::8.8.8.8",
        "64:ff9b:1::8.8.8.8",
        "2002:7f00:1::",
        "2002:808:808::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2a00:1450::5efe:127.0.0.1",
        "2a00:1450::200:5efe:10.0.0.1",
        # not addresses
        "",
        "localhost",
        "127.1",
        "8.8.8.08",
        "0x8.8.8.8",
        "8.8.8.8 ",
        "8.8.8",
        "1:2:3",
    ],
)
def test_special_and_malformed_addresses_are_not_public(address: str) -> None:
    assert not is_public(address)


@given(st.ip_addresses())
def test_what_is_public_here_is_global_for_the_standard_library_too(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if is_public(str(address)):
        assert address.is_global
        assert not address.is_multicast


@given(st.ip_addresses(v=4))
def test_no_ipv4_address_is_public_inside_ipv6(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    for disguise in (
        number,
        (0xFFFF << 32) + number,
        (0x64FF9B << 96) + number,
        (0x64FF9B0001 << 80) + number,
        (0x2002 << 112) + (number << 80) + 1,
        (0x20010000 << 96) + (number ^ 0xFFFF_FFFF),
    ):
        assert not is_public(str(ipaddress.IPv6Address(disguise)))


@pytest.mark.parametrize(
    ("url", "dialled"),
    [
        ("http://a.example/p.jpg", "http://a.example/p.jpg"),
        ("HTTPS://A.Example:443/P.jpg", "https://a.example/P.jpg"),
        ("http://a.example", "http://a.example/"),
        ("http://a.example.:80?x=1", "http://a.example/?x=1"),
        ("http://a.example:/p", "http://a.example/p"),
        ("http://a.example/p#x?y", "http://a.example/p"),
        ("https://a.example:80/", "https://a.example:80/"),
        ("http://a.example/?u=http://b.example/@c:1", "http://a.example/?u=http://b.example/@c:1"),
        ("http://my_shop.example/%41%zz", "http://my_shop.example/%41%zz"),
        ("http://a.example/f\u00fc\u00df/\u540d?q=\u00e9", "http://a.example/f%C3%BC%C3%9F/%E5%90%8D?q=%C3%A9"),
        ("http://b\u00fccher.example/", "http://xn--bcher-kva.example/"),
        ("http://\uff21.example/", "http://a.example/"),
        ("http://127.0.0.1/", "http://127.0.0.1/"),
        ("http://0x7f.1/", "http://127.0.0.1/"),
        ("http://2130706433/", "http://127.0.0.1/"),
        ("http://017700000001/", "http://127.0.0.1/"),
        ("http://0X7F000001/", "http://127.0.0.1/"),
        ("http://127.0.1/", "http://127.0.0.1/"),
        ("http://010.8.8.8/", "http://8.8.8.8/"),
        ("http://127.0.0.1./", "http://127.0.0.1/"),
        ("http://\uff11\uff12\uff17\u30020.0.1/", "http://127.0.0.1/"),
        ("http://\u2460.0.0.1/", "http://1.0.0.1/"),
        ("http://[::1]/", "http://[::1]/"),
        ("http://[2A00:0:0::1]/", "http://[2a00::1]/"),
    ],
)  # fmt: skip
def test_a_url_is_dialled_in_its_canonical_form(url: str, dialled: str) -> None:
    assert check_url(url, allowed_ports=PORTS) == dialled
    assert check_url(dialled, allowed_ports=PORTS) == dialled


@pytest.mark.parametrize(
    "url",
    [
        "",
        "p.jpg",
        "//a.example/p.jpg",
        "file:///etc/passwd",
        "ftp://a.example/p.jpg",
        "gopher://a.example/",
        "javascript:alert(1)",
        "data:image/png;base64,AA==",
        "http:",
        "http:/a.example/",
        "http:///a.example/",
        "http://",
        "http://:80/",
        "http://?x",
        "http://user@a.example/",
        "http://user:secret@a.example/",
        "http://@a.example/",
        "http://a.example@b.example/",
        "http://a.example:80@b.example/",
        "http://a.example:8080/",
        "http://a.example:0/",
        "http://a.example:-1/",
        "http://a.example:+80/",
        "http://a.example:080000/",
        "http://a.example:\u0668\u0660/",
        "http://a.example:80:80/",
        "http://a.example\\@b.example/",
        "http:\\\\a.example/",
        "http://a.example/a b",
        "http://a.example/\t",
        "http://a.ex\tample/",
        "http://a.example/\r\nHost: b.example",
        "http://a.example/\x00",
        "http://a.example/\x7f",
        "http://a.example/\u0085",
        "http://a.example/\u2028",
        "http://a.example/\u3000",
        " http://a.example/",
        "http://a.example/\ud800",
        "http://\ud800.example/",
        "http://a%2eexample/",
        "http://127.0.0.1%00.example/",
        "http://a..example/",
        "http://.example/",
        "http://a.example../",
        "http://a!b.example/",
        "http://a,b.example/",
        "http://\u2100.example/",
        "http://fa\u00df.example/",
        "http://a\u200d.example/",
        "http://" + "a" * 64 + ".example/",
        "http://" + "a." * 127 + "example/",
        "http://1.2.3.4.5/",
        "http://256.1.1.1/",
        "http://1.1.1.256/",
        "http://4294967296/",
        "http://08.1.1.1/",
        "http://a.1/",
        "http://a.0x1/",
        "http://1_0.1/",
        "http://0x/",
        "http://-1.1.1.1/",
        "http://[::1/",
        "http://::1/",
        "http://[]/",
        "http://[1.2.3.4]/",
        "http://[fe80::1%25eth0]/",
        "http://[fe80::1%eth0]/",
        "http://[v1.fe80]/",
        "http://[::1].example/",
        "http://[::1]80/",
        "http://a.example/" + "a" * MAX_URL_CHARACTERS,
        "http://a.example/" + "a" * 100_000,
    ],
)
def test_a_url_that_is_odd_in_any_way_is_refused(url: str) -> None:
    with pytest.raises(BadUrl) as caught:
        check_url(url, allowed_ports=PORTS)
    assert "secret" not in str(caught.value)


def test_only_the_allowed_ports_pass() -> None:
    assert check_url("http://a.example:8080/", allowed_ports=frozenset({8080}))
    with pytest.raises(BadUrl, match="port 80 is"):
        check_url("http://a.example/", allowed_ports=frozenset({443}))


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/b", "http://a.example/b"),
        ("b?x=1", "http://a.example/dir/b?x=1"),
        ("../b", "http://a.example/b"),
        ("//b.example/c", "http://b.example/c"),
        ("https://b.example/c", "https://b.example/c"),
        ("file:///etc/passwd", "file:///etc/passwd"),
        ("?y", "http://a.example/dir/p.jpg?y"),
        ("", "http://a.example/dir/p.jpg"),
    ],
)
def test_a_redirect_is_joined_to_where_it_came_from(location: str, target: str) -> None:
    assert join_redirect("http://a.example/dir/p.jpg", location) == target


@pytest.mark.parametrize(
    "location", ["http://[", "http://[x]/", "/a\tb", "/a\\b", "\x00", "java\nscript:x"]
)
def test_a_malformed_redirect_is_refused(location: str) -> None:
    with pytest.raises(BadUrl):
        check_url(join_redirect("http://a.example/", location), allowed_ports=PORTS)


PIECES = st.sampled_from(
    [*"http://[]:@?#%\\.0xX17f-_ \t\n\u3002\uff10\u00df\u2100\ud800", "127", "0x7f", "::1",
     "::ffff:", "localhost", "80", "a.example", "http://", "https://", "%2e", "user:pw@"]
)  # fmt: skip
ODD_URLS = st.one_of(
    st.text(max_size=60),
    st.builds("http://{}".format, st.text(max_size=40)),
    st.builds("http://{}".format, st.lists(PIECES, max_size=12).map("".join)),
    st.lists(PIECES, max_size=16).map("".join),
)


@given(ODD_URLS)
def test_whatever_passes_is_plain_ascii_that_every_parser_reads_alike(url: str) -> None:
    try:
        dialled = check_url(url, allowed_ports=PORTS)
    except BadUrl:
        return
    shape = re.fullmatch(
        r"(https?)://([a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::(80|443))?/([!-~]*)", dialled
    )
    assert shape is not None
    parsed = urlsplit(dialled)
    assert (parsed.scheme, parsed.hostname) == (shape[1], shape[2].strip("[]"))
    assert (parsed.username, parsed.password, parsed.fragment) == (None, None, "")
    assert check_url(dialled, allowed_ports=PORTS) == dialled


@given(ODD_URLS)
def test_a_host_that_could_be_read_as_a_number_is_a_canonical_address(url: str) -> None:
    try:
        host = urlsplit(check_url(url, allowed_ports=PORTS)).hostname or ""
    except BadUrl:
        return
    if ":" in host or re.fullmatch(r"(.*\.)?([0-9]+|0x[0-9a-f]*)", host):
        assert str(ipaddress.ip_address(host)) == host


@given(st.text(max_size=60), st.lists(PIECES, max_size=12).map("".join))
def test_no_redirect_raises_anything_but_bad_url(location: str, pieces: str) -> None:
    for text in (location, pieces):
        with suppress(BadUrl):
            check_url(join_redirect("https://a.example/p?q#r", text), allowed_ports=PORTS)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("169.254.169.254", True),
        ("169.254.0.1", True),
        ("100.100.100.200", True),
        ("168.63.129.16", True),
        ("192.0.0.192", True),
        ("fd00:ec2::254", True),
        ("fd20:ce::254", True),
        ("fd00:42::42", True),
        ("::ffff:169.254.169.254", True),
        ("::169.254.169.254", True),
        ("::ffff:0:169.254.169.254", True),
        ("64:ff9b::169.254.169.254", True),
        ("64:ff9b:1::169.254.169.254", True),
        ("2002:a9fe:a9fe::1", True),
        ("::ffff:100.100.100.200", True),
        ("fe80::1", True),
        ("fe80::1%eth0", True),
        ("127.0.0.1", False),
        ("10.0.0.1", False),
        ("100.100.100.201", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("64:ff9b::10.0.0.1", False),
        ("::1", False),
        ("8.8.8.8", False),
        ("no address", False),
    ],
)
def test_addresses_of_metadata_services_are_told_from_other_private_ones(
    address: str, *, told: bool
) -> None:
    assert hands_out_credentials(address) is told
