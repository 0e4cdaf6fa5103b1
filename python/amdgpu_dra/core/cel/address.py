"""IP addresses and networks as values."""

import ipaddress
import re
from dataclasses import dataclass

from amdgpu_dra.core.cel.errors import CelRuntimeError, no_such_overload
from amdgpu_dra.core.cel.overloads import Functions, overload
from amdgpu_dra.core.cel.values import Opaque, Value

__all__ = ["FUNCTIONS", "Address", "Network"]

type Ip = ipaddress.IPv4Address | ipaddress.IPv6Address

_BITS = re.compile(r"0|[1-9][0-9]{0,2}")
_FOUR = 4


@dataclass(frozen=True, slots=True, eq=False)
class Address(Opaque):
    """One address."""

    ip: Ip
    type_name = "net.IP"

    def same(self, other: Opaque) -> bool:
        """Whether both are one address."""
        return isinstance(other, Address) and self.ip == other.ip

    def size(self) -> int:
        """Its bytes."""
        return self.ip.max_prefixlen // 8


@dataclass(frozen=True, slots=True, eq=False)
class Network(Opaque):
    """An address and how many of its bits name the network."""

    ip: Ip
    bits: int
    type_name = "net.CIDR"

    def same(self, other: Opaque) -> bool:
        """Whether address and length are the same."""
        return isinstance(other, Network) and (self.ip, self.bits) == (other.ip, other.bits)

    def size(self) -> int:
        """The bytes of its prefix, rounded up."""
        return -(-self.bits // 8)

    def holds(self, ip: Ip) -> bool:
        """Whether the address lies in the network."""
        return ip.version == self.ip.version and _prefix(ip, self.bits) == _prefix(self.ip, self.bits)


def _prefix(ip: Ip, bits: int) -> int:
    return int(ip) >> (ip.max_prefixlen - bits)


def _parse(text: str) -> Ip:
    """An address as Go's netip reads it; raises ValueError."""
    if not text.isascii() or ("%" in text):
        raise ValueError("zones are not allowed")
    ip = ipaddress.ip_address(text)
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        raise ValueError("IPv4-mapped IPv6 addresses are not allowed")
    return ip


def _read_ip(text: str) -> Value:
    try:
        return Address(_parse(text))
    except ValueError as fault:
        raise CelRuntimeError(f'IP Address "{text}" parse error during conversion from string: {fault}') from None


def _read_cidr(text: str) -> Value:
    address, slash, bits = text.rpartition("/")
    try:
        ip = _parse(address)
    except ValueError as fault:
        raise CelRuntimeError(f"network address parse error during conversion from string: {fault}") from None
    if not slash or not _BITS.fullmatch(bits) or int(bits) > ip.max_prefixlen:
        raise CelRuntimeError("network address parse error during conversion from string: bad bits after slash")
    return Network(ip, int(bits))


def _is_ip(text: str) -> Value:
    try:
        _parse(text)
    except ValueError:
        return False
    return True


def _is_cidr(text: str) -> Value:
    try:
        _read_cidr(text)
    except CelRuntimeError:
        return False
    return True


def _text(ip: Ip) -> str:
    return ip.compressed


def _is_canonical(text: str) -> Value:
    value = _read_ip(text)
    return isinstance(value, Address) and _text(value.ip) == text


def _global_unicast(value: Address) -> Value:
    ip = value.ip
    broadcast = ip == ipaddress.IPv4Address("255.255.255.255")
    return not (ip.is_unspecified or broadcast or ip.is_loopback or ip.is_multicast or ip.is_link_local)


def _link_local_multicast(value: Address) -> Value:
    number = int(value.ip)
    if value.ip.version == _FOUR:
        return number >> 8 == 0xE00000  # noqa: PLR2004 (224.0.0.0/24)
    return number >> 112 & 0xFF0F == 0xFF02  # noqa: PLR2004 (ff02::/16 with any flags)


def _contains_ip(network: Network, address: Address) -> Value:
    return network.holds(address.ip)


def _contains_ip_text(network: Network, text: str) -> Value:
    try:
        return network.holds(_parse(text))
    except ValueError:
        raise no_such_overload() from None


def _contains_cidr(network: Network, other: Network) -> Value:
    return network.bits <= other.bits and network.holds(other.ip)


def _contains_cidr_text(network: Network, text: str) -> Value:
    other = _read_cidr(text) if _is_cidr(text) else None
    if not isinstance(other, Network):
        raise no_such_overload()
    return _contains_cidr(network, other)


def _masked(network: Network) -> Value:
    rest = network.ip.max_prefixlen - network.bits
    return Network(type(network.ip)(int(network.ip) >> rest << rest), network.bits)


FUNCTIONS: Functions = {
    "ip": (
        overload("string_to_ip", "(string) IP", _read_ip),
        overload("cidr_ip", "CIDR.() IP", lambda network: Address(network.ip)),
    ),
    "family": (overload("ip_family", "IP.() int", lambda address: address.ip.version),),
    "ip.isCanonical": (overload("ip_is_canonical", "(string) bool", _is_canonical),),
    "isUnspecified": (overload("ip_is_unspecified", "IP.() bool", lambda address: address.ip.is_unspecified),),
    "isLoopback": (overload("ip_is_loopback", "IP.() bool", lambda address: address.ip.is_loopback),),
    "isLinkLocalMulticast": (overload("ip_is_link_local_multicast", "IP.() bool", _link_local_multicast),),
    "isLinkLocalUnicast": (
        overload("ip_is_link_local_unicast", "IP.() bool", lambda address: address.ip.is_link_local),
    ),
    "isGlobalUnicast": (overload("ip_is_global_unicast", "IP.() bool", _global_unicast),),
    "isIP": (overload("is_ip", "(string) bool", _is_ip),),
    "cidr": (overload("string_to_cidr", "(string) CIDR", _read_cidr),),
    "containsIP": (
        overload("cidr_contains_ip_string", "CIDR.(string) bool", _contains_ip_text),
        overload("cidr_contains_ip_ip", "CIDR.(IP) bool", _contains_ip),
    ),
    "containsCIDR": (
        overload("cidr_contains_cidr_string", "CIDR.(string) bool", _contains_cidr_text),
        overload("cidr_contains_cidr", "CIDR.(CIDR) bool", _contains_cidr),
    ),
    "prefixLength": (overload("cidr_prefix_length", "CIDR.() int", lambda network: network.bits),),
    "masked": (overload("cidr_masked", "CIDR.() CIDR", _masked),),
    "isCIDR": (overload("is_cidr", "(string) bool", _is_cidr),),
    "string": (
        overload("ip_to_string", "(IP) string", lambda address: _text(address.ip)),
        overload("cidr_to_string", "(CIDR) string", lambda network: f"{_text(network.ip)}/{network.bits}"),
    ),
}
