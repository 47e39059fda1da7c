"""No request goes to an address that is not public, unless the configuration says so."""

import socket
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from exporters.base import Delivered, Delivery, Notification, Reason, Retry
from exporters.contract import Answer, ScriptedReceiver
from exporters.ssrf import special
from exporters.webhook import Webhook
from tests.signing import by

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECRET = b"a-very-secret-key-of-32-bytes-ab"
HOST = "driftd-test.invalid"
SPECIAL = [
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
    *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
    *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32"),
    *("::/128", "::1/128", "::/96", "::ffff:0:0:0/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64"),
    *("2001::/23", "2001::/32", "2001:2::/48", "2001:db8::/32", "2002::/16", "3fff::/20", "4000::/2"),
    *("5f00::/16", "8000::/1", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"),
]
PUBLIC = ["1.1.1.1", "9.9.9.9", "93.184.215.14", "128.0.0.1", "172.15.255.255", "172.32.0.0", "192.0.1.1"]
PUBLIC6 = ["2001:200::1", "2606:4700::1111", "2a00:1450:4001:800::200e", "2001:4860:4860::8888"]


def send(url: str, *, allow_private: bool = False, seconds: float = 5) -> Delivery:
    note = Notification("msg_0123456789abcdef01234567", url, b"{}", 0)
    return Webhook(url, by(SECRET), seconds, allow_private=allow_private).send(note, NOW)


def resolves(monkeypatch: pytest.MonkeyPatch, *answers: Sequence[str]) -> list[str]:
    """Answer for HOST with these addresses, a list each time it is asked; returns what was asked for."""
    real, left, asked = socket.getaddrinfo, list(answers), list[str]()

    def lookup(host: str, port: int, *_: object, **__: object) -> list[object]:
        if host != HOST:
            ip_address(host)  # a connection goes to digits, never to a name
            return [*real(host, port, type=socket.SOCK_STREAM)]
        asked.append(host)
        found = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    return asked


@pytest.mark.parametrize("network", SPECIAL)
def test_both_ends_of_every_special_range_are_refused(network: str) -> None:
    found = ip_network(network)

    assert special(str(found[0]))
    assert special(str(found[-1]))


@given(st.sampled_from([ip_network(n) for n in SPECIAL]).flatmap(lambda n: st.ip_addresses(network=n)))
def test_every_address_of_a_special_range_is_refused(address: IPv4Address | IPv6Address) -> None:
    assert special(str(address))


@pytest.mark.parametrize("address", PUBLIC + PUBLIC6)
def test_public_addresses_are_not(address: str) -> None:
    assert special(address) == ""


@given(st.ip_addresses(v=4))
def test_an_address_that_carries_another_is_what_it_carries(inner: IPv4Address) -> None:
    number, kind = int(inner), special(str(inner))
    for outer in (0xFFFF << 32, int(IPv6Address("64:ff9b::"))):
        assert special(str(IPv6Address(outer + number))) == kind
    assert special(str(IPv6Address((0x2002 << 112) + (number << 80)))) == "6to4"
    assert special(str(IPv6Address(number))), "IPv4-compatible"


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6))
def test_it_is_never_laxer_than_the_library(address: IPv4Address | IPv6Address) -> None:
    open_ones = isinstance(address, IPv6Address) and (
        address.ipv4_mapped or address in ip_network("64:ff9b::/96")
    )

    assert special(str(address)) or address.is_global or open_ones


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("64:ff9b::7f00:1", "loopback"),
        ("2002:7f00:1::", "6to4"),
        ("192.0.0.8", "reserved"),
        ("100.64.0.1", "carrier-grade NAT"),
        ("169.254.169.254", "link-local"),
        ("fd00:ec2::254", "private"),
        ("100.100.100.200", "carrier-grade NAT"),
        ("168.63.129.16", "cloud-internal"),
        ("::ffff:169.254.169.254", "link-local"),
        ("fe80::1%lo", "link-local"),
        ("2001:0:7f00:1::", "Teredo"),
        ("64:ff9b:1::a00:1", "local NAT64"),
    ],
)
def test_what_is_easily_missed_has_its_word(address: str, kind: str) -> None:
    assert special(address) == kind


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
    ],
)
def test_no_spelling_of_loopback_is_connected_to(host: str) -> None:
    with ScriptedReceiver(Answer(200)) as receiver:
        port = receiver.url.split(":")[3].split("/")[0]

        assert send(f"http://{host}:{port}/hook") == Retry(Reason.PRIVATE)
    assert receiver.seen == []


def test_one_private_address_among_public_ones_refuses_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    resolves(monkeypatch, ["93.184.215.14", "10.0.0.7"])
    connected: list[object] = []
    monkeypatch.setattr(socket, "create_connection", lambda *args, **_: connected.append(args))

    assert send(f"http://{HOST}/") == Retry(Reason.PRIVATE)
    assert connected == []


def test_a_name_that_changes_after_the_check_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: public when judged, loopback at any later question."""
    with ScriptedReceiver(Answer(200)) as receiver:
        port = receiver.url.split(":")[3].split("/")[0]
        asked = resolves(monkeypatch, ["93.184.215.14"], ["127.0.0.1"])
        connected: list[tuple[str, int]] = []

        def connect(address: tuple[str, int], *_: object, **__: object) -> socket.socket:
            connected.append(address)
            raise ConnectionRefusedError

        monkeypatch.setattr(socket, "create_connection", connect)
        first, second = send(f"http://{HOST}:{port}/"), send(f"http://{HOST}:{port}/")

    assert (first, second) == (Retry(Reason.CONNECT), Retry(Reason.PRIVATE))
    assert connected == [("93.184.215.14", int(port))]
    assert asked == [HOST, HOST]  # once for each attempt
    assert receiver.seen == []


def test_a_private_receiver_that_was_allowed_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedReceiver(Answer(200)) as receiver:
        port = receiver.url.split(":")[3].split("/")[0]
        resolves(monkeypatch, ["127.0.0.1"])

        assert send(f"http://{HOST}:{port}/hook", allow_private=True) == Delivered(200)
    assert receiver.seen[0].headers["host"] == f"{HOST}:{port}"


def test_a_pinned_address_is_still_the_name_to_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    server, client = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert(HOST).configure_cert(server)
    authority.configure_trust(client)
    named: list[str | None] = []
    server.sni_callback = lambda _socket, name, _context: named.append(name)
    with ScriptedReceiver(Answer(202), server) as receiver:
        url = receiver.url.replace("127.0.0.1", HOST).replace("http:", "https:")
        resolves(monkeypatch, ["127.0.0.1"])
        webhook = Webhook(url, by(SECRET), 5, client, allow_private=True)

        assert webhook.send(Notification("msg_1", url, b"{}", 0), NOW) == Delivered(202)
    assert named == [HOST]


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "1.2.3.4.5"])
def test_what_is_no_address_is_not_judged(text: str) -> None:
    with pytest.raises(ValueError, match="address"):
        special(text)
