"""Telling addresses from names, in every spelling that a resolver would take. Pure.

``ipaddress.is_private`` alone lets 100.64/10, 192.0.0/24 and 168.63.129.16 pass, and
``is_global`` alone lets an IPv4 address pass that is wrapped in an IPv6 one; hence a list.
"""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final

Address = IPv4Address | IPv6Address

_INTERNAL: Final[tuple[IPv4Network | IPv6Network, ...]] = tuple(
    ip_network(block)
    for block in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # shared space of carriers; some clouds' metadata
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's wire server
        "169.254.0.0/16",  # link local, and metadata
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/128",
        "::1/128",
        "64:ff9b:1::/48",  # local translation: which address is meant, only that network knows
        "100::/64",
        "2001:2::/48",
        "2001:10::/28",
        "2001:20::/28",
        "2001:db8::/32",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",  # unique local, and AWS's metadata at fd00:ec2::254
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
)

_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")
_MAPPED = IPv6Network("::ffff:0:0/96")
_TRANSLATED = IPv6Network("::ffff:0:0:0/96")
_COMPATIBLE = IPv6Network("::/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR = IPv6Network("2002::/16")
_TEREDO = IPv6Network("2001::/32")
#: The interface identifier's first half; a bit of it tells whether the IPv4 address is unique.
_ISATAP = 0x00005EFE  # RFC 5214, section 6.1


class NotAnAddressError(ValueError):
    """The host looks like an address and is none: no resolver may be asked what it means."""


def parse_address(host: str) -> Address | None:
    """Return the address that the host spells, or None where it is a name.

    Takes what ``inet_aton`` takes: decimal, octal, hexadecimal, one to four parts.

    Raises:
        NotAnAddressError: its last label is a number, or it holds a colon, and no address fits.

    >>> str(parse_address("0x7f.1"))
    '127.0.0.1'
    >>> parse_address("s3.amazonaws.com") is None
    True
    """
    if ":" in host:
        return _ipv6(host)
    labels = host.split(".")
    if not _NUMBER.fullmatch(labels[-1]):
        return None
    if len(labels) > 4 or not all(_NUMBER.fullmatch(label) for label in labels):
        raise NotAnAddressError("a name cannot end in a number")
    *head, last = (_number(label) for label in labels)
    # As in inet_aton the last part fills all bytes that the others leave: 127.1 is 127.0.0.1.
    if any(part > 255 for part in head) or last >= 256 ** (4 - len(head)):
        raise NotAnAddressError("a part is too large")
    value = last + sum(part << 8 * (3 - place) for place, part in enumerate(head))
    return IPv4Address(value)


def canonical_host(host: str) -> str:
    """Return the host in one spelling, that of WHATWG's URL standard, where it is an address.

    A name is left alone, and so is what looks like an address and is none.

    >>> canonical_host("0x7f.1"), canonical_host("0:0:0:0:0:0:0:1"), canonical_host("minio.corp")
    ('127.0.0.1', '::1', 'minio.corp')
    """
    try:
        address = parse_address(host)
    except NotAnAddressError:
        return host
    if address is None:
        return host
    if isinstance(address, IPv6Address) and (mapped := address.ipv4_mapped):
        # Python writes it with dots from 3.13 on, HTTP clients never do.
        return f"::ffff:{int(mapped) >> 16:x}:{int(mapped) & 0xFFFF:x}"
    return str(address)


def is_internal(address: Address) -> bool:
    """Return whether the address, or one wrapped in it, is in a refused range.

    >>> is_internal(IPv6Address("64:ff9b::a9fe:a9fe")), is_internal(IPv4Address("8.8.8.8"))
    (True, False)
    """
    return any(
        one in block
        for one in (address, *_wrapped(address))
        for block in _INTERNAL
        if one.version == block.version
    )


def _wrapped(address: Address) -> list[Address]:
    if isinstance(address, IPv4Address):
        return []
    value = int(address)
    low = IPv4Address(value & 0xFFFFFFFF)
    if any(address in block for block in (_MAPPED, _TRANSLATED, _COMPATIBLE, _NAT64)):
        return [low]
    if (value >> 32) & 0xFDFFFFFF == _ISATAP:
        return [low]
    if address in _SIX_TO_FOUR:
        return [IPv4Address((value >> 80) & 0xFFFFFFFF)]
    if address in _TEREDO:  # RFC 4380, section 4: the client's address is stored inverted
        return [IPv4Address((value >> 64) & 0xFFFFFFFF), IPv4Address(int(low) ^ 0xFFFFFFFF)]
    return []


def _ipv6(host: str) -> IPv6Address:
    try:
        return IPv6Address(host)
    except ValueError as exc:
        raise NotAnAddressError("not an IPv6 address") from exc


def _number(label: str) -> int:
    if len(label) > 64:
        raise NotAnAddressError("a part is too long")
    if label.startswith("0x"):
        return int(label[2:] or "0", 16)
    if not label.startswith("0"):
        return int(label)
    try:
        return int(label, 8)
    except ValueError as exc:
        raise NotAnAddressError("an octal part has a digit over 7") from exc
