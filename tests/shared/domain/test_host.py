"""Hosts in one spelling, lists of them, and names below names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.host import canonical_host, hosts_from_commas, is_numeric, is_within


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("example.com", {"example.com"}),
        ("Example.COM., cdn.example.net", {"example.com", "cdn.example.net"}),
        ("b\u00fccher.example", {"xn--bcher-kva.example"}),
        ("0x7f.1,8.8.8.8", {"127.0.0.1", "8.8.8.8"}),
        ("2001:DB8:0::1", {"[2001:db8::1]"}),
        ("[2001:db8::1]", {"[2001:db8::1]"}),
        ("::ffff:10.0.0.1", {"[::ffff:a00:1]"}),
        ("com", {"com"}),
    ],
)
def test_a_list_is_read_in_canonical_spelling(text: str, hosts: set[str]) -> None:
    # How IPv6Address spells IPv4 inside IPv6 depends on the version of Python.
    assert {host.replace("10.0.0.1", "a00:1") for host in hosts_from_commas(text)} == hosts


@pytest.mark.parametrize(
    "text",
    [
        ",",
        "a.example,",
        "a.example,,b.example",
        "*.example.com",
        ".example.com",
        "http://a.example",
        "a.example/photos",
        "a.example:80",
        "user@a.example",
        "a b",
        "[::1",
        "[::1]:80",
        "fe80::1%eth0",
        "10.0.0.0/8",
        "1.2.3.4.5",
        "a..example",
        "fa\u00df.example",
    ],
)
def test_a_list_with_an_entry_that_is_no_host_is_refused_by_its_place(text: str) -> None:
    with pytest.raises(ValueError, match=r"entry [12] is neither") as caught:
        hosts_from_commas(text)
    assert text == "," or text not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "within"),
    [
        ("example.com", True),
        ("cdn.example.com", True),
        ("a.b.example.com", True),
        ("notexample.com", False),
        ("example.com.evil.test", False),
        ("com", False),
        ("10.0.0.1", True),
        ("10.0.0.11", False),
        ("[2001:db8::1]", True),
        ("[2001:db8::2]", False),
    ],
)
def test_a_name_is_within_those_above_it_and_an_address_only_equals(
    host: str, *, within: bool
) -> None:
    assert is_within(host, {"example.com", "10.0.0.1", "[2001:db8::1]"}) is within


def test_what_looks_like_the_end_of_an_address_is_no_name_above_it() -> None:
    assert not is_within("1.2.3.4", {"3.4", "2.3.4", "4"})


@given(st.text(max_size=30))
def test_a_canonical_host_is_its_own_canonical_form(text: str) -> None:
    try:
        host = canonical_host(text)
    except ValueError:
        return
    assert canonical_host(host) == host
    assert is_numeric(host) == (host.replace(".", "").isdecimal() or host.startswith("["))
