"""Which addresses a request may go to when its receiver is to be public: server-side request forgery.

Who may write a configuration, or answer for a name in it, could else make driftd speak to what only driftd's
own network can reach: a cloud's metadata, an admin port on loopback. The verdicts are our own, from IANA's
registries of special-purpose addresses (RFC 6890, as of 2025): ipaddress.is_global calls 64:ff9b::7f00:1,
2002:7f00:1:: and 192.0.0.8 global, and each of them can end at home.
"""

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address

V4: Mapping[IPv4Network, str] = {
    IPv4Network(network): kind
    for network, kind in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "cloud-internal"),  # a public number that Azure answers inside its machines
        ("169.254.0.0/16", "link-local"),  # the metadata of most clouds among them
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),  # the metadata of Oracle's cloud among them
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "6to4"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
}
V6: Mapping[IPv6Network, str] = {
    IPv6Network(network): kind
    for network, kind in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("64:ff9b:1::/48", "local NAT64"),
        ("100::/64", "discard-only"),
        ("2001::/32", "Teredo"),
        ("2001::/23", "reserved"),  # protocols' own: benchmarking, ORCHID
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("3fff::/20", "documentation"),
        ("fc00::/7", "private"),  # unique local
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
}
"""The first that fits is the word; beyond these only UNICAST is in use."""

UNICAST = IPv6Network("2000::/3")
MAPPED = IPv6Network("::ffff:0:0/96")
NAT64 = IPv6Network("64:ff9b::/96")


def special(address: str) -> str:
    """Return what makes an address no public one, as "loopback" or "private"; "" for a public one.

    address: an IPv4 or IPv6 address in its usual form, an interface behind % or not. An address that carries
    an IPv4 one (IPv4-mapped, NAT64) is as public as what it carries; the tunnels 6to4 and Teredo are closed.
    Raises ValueError for what is no address.

    >>> special("127.0.0.1"), special("::ffff:10.0.0.1"), special("64:ff9b::a9fe:a9fe")
    ('loopback', 'private', 'link-local')
    >>> special("93.184.215.14"), special("2606:4700::1111")
    ('', '')
    """
    found = ip_address(address)
    if isinstance(found, IPv4Address):
        return _within(found)
    if found in MAPPED or found in NAT64:
        return _within(IPv4Address(int(found) & 0xFFFFFFFF))
    kind = next((kind for network, kind in V6.items() if found in network), "")
    return kind or ("" if found in UNICAST else "reserved")


def _within(address: IPv4Address) -> str:
    return next((kind for network, kind in V4.items() if address in network), "")
