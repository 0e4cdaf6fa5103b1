"""Named formats of Kubernetes: `format.dns1123Label().validate(…)`."""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass

from amdgpu_dra.core.cel.clock import read_timestamp
from amdgpu_dra.core.cel.errors import CelRuntimeError
from amdgpu_dra.core.cel.overloads import Functions, overload
from amdgpu_dra.core.cel.values import NONE, Opaque, Optional, Value
from amdgpu_dra.core.cel.weblink import read_link

__all__ = ["FUNCTIONS", "Format"]

type Check = Callable[[str], list[str]]

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_VALUE = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?"
_NAME = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LONGEST_LABEL, _LONGEST_SUBDOMAIN = 63, 253
_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with"
    " an alphanumeric character"
)
_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and"
    " end with an alphanumeric character"
)
_LABEL_1035_TEXT = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character,"
    " and end with an alphanumeric character"
)
_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and"
    " end with an alphanumeric character"
)
_NAME_TEXT = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric"
    " character"
)
_CLOCK = re.compile(r"([0-9]{2}):([0-9]{2}):([0-9]{2})(?:.[0-9]+)?(?:Z|[+-][0-9]{2}:[0-9]{2})")
_UUID = re.compile(r"(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")


@dataclass(frozen=True, slots=True, eq=False)
class Format(Opaque):
    """A format by name; `pattern_size` is what its check is charged by."""

    name: str
    check: Check
    pattern_size: int
    type_name = "kubernetes.NamedFormat"

    def same(self, other: Opaque) -> bool:
        """Whether both have one name."""
        return isinstance(other, Format) and self.name == other.name


def _pattern(text: str, longest: int, pattern: str, complaint: str, *examples: str) -> list[str]:
    faults = []
    if len(text.encode()) > longest:
        faults.append(
            f"must be no more than {longest} characters"
            if longest == _LONGEST_SUBDOMAIN
            else f"must be no more than {longest} bytes"
        )
    if not re.fullmatch(pattern, text):
        shown = " or ".join(f"'{example}', " for example in examples)
        faults.append(f"{complaint} (e.g. {shown}regex used for validation is '{pattern}')")
    return faults


def _label(text: str) -> list[str]:
    return _pattern(text, _LONGEST_LABEL, _LABEL, _LABEL_TEXT, "my-name", "123-abc")


def _subdomain(text: str) -> list[str]:
    return _pattern(text, _LONGEST_SUBDOMAIN, _SUBDOMAIN, _SUBDOMAIN_TEXT, "example.com")


def _label_1035(text: str) -> list[str]:
    return _pattern(text, _LONGEST_LABEL, _LABEL_1035, _LABEL_1035_TEXT, "my-name", "abc-123")


def _prefix(check: Check) -> Check:
    """A name to which more is added: a dash at its end is fine."""

    def run(text: str) -> list[str]:
        return check(text[:-1] + "a" if len(text) > 1 and text.endswith("-") else text)

    return run


def _label_value(text: str) -> list[str]:
    return _pattern(text, _LONGEST_LABEL, _VALUE, _VALUE_TEXT, "MyValue", "my_value", "12345")


def _qualified(text: str) -> list[str]:
    prefix, slash, name = text.rpartition("/")
    if "/" in prefix:
        return ["a qualified name " + _NAME_TEXT]
    faults = []
    if slash:
        faults = (
            ["prefix part must be non-empty"]
            if not prefix
            else [f"prefix part {fault}" for fault in _subdomain(prefix)]
        )
    if not name:
        faults.append("name part must be non-empty")
    return faults + _pattern(name, _LONGEST_LABEL, _NAME, _NAME_TEXT, "MyName", "my.name", "123-abc")


def _uri(text: str) -> list[str]:
    try:
        read_link(text)
    except CelRuntimeError as fault:
        return [str(fault).removeprefix("URL parse error during conversion from string: ")]
    return []


def _when(valid: Callable[[str], bool], complaint: str) -> Check:
    return lambda text: [] if valid(text) else [complaint]


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
    except (ValueError, binascii.Error):
        return False
    return bool(text)


def _is_date(text: str) -> bool:
    return re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text) is not None and _is_moment(f"{text}T00:00:00Z")


def _is_datetime(text: str) -> bool:
    date, mark, clock = text.upper().partition("T")
    match = _CLOCK.fullmatch(clock) if mark and _is_date(date) else None
    return match is not None and match[1] <= "23" and match[2] <= "59" and match[3] <= "59"


def _is_moment(text: str) -> bool:
    try:
        read_timestamp(text)
    except CelRuntimeError:
        return False
    return True


_DATE_TIME_SIZE, _UUID_SIZE, _BASE64_SIZE, _URL_SIZE = 72, 72, 84, 1103
_FORMATS = {
    "dns1123Label": Format("DNS1123Label", _label, 30),
    "dns1123Subdomain": Format("DNS1123Subdomain", _subdomain, 60),
    "dns1035Label": Format("DNS1035Label", _label_1035, 30),
    "qualifiedName": Format("QualifiedName", _qualified, 60),
    "dns1123LabelPrefix": Format("DNS1123LabelPrefix", _prefix(_label), 30),
    "dns1123SubdomainPrefix": Format("DNS1123SubdomainPrefix", _prefix(_subdomain), 60),
    "dns1035LabelPrefix": Format("DNS1035LabelPrefix", _prefix(_label_1035), 30),
    "labelValue": Format("LabelValue", _label_value, 40),
    "uri": Format("URI", _uri, _URL_SIZE),
    "uuid": Format(
        "uuid", _when(lambda text: _UUID.fullmatch(text) is not None, "does not match the UUID format"), _UUID_SIZE
    ),
    "byte": Format("byte", _when(_is_base64, "invalid base64"), _BASE64_SIZE),
    "date": Format("date", _when(_is_date, "invalid date"), _DATE_TIME_SIZE),
    "datetime": Format("datetime", _when(_is_datetime, "invalid datetime"), _DATE_TIME_SIZE),
}


def _validate(value: Format, text: str) -> Value:
    faults = value.check(text)
    return Optional(tuple(faults)) if faults else NONE


def _by_name(name: str) -> Value:
    return Optional(_FORMATS[name]) if name in _FORMATS else NONE


def _constant(value: Format) -> Callable[[], Value]:
    return lambda: value


FUNCTIONS: Functions = {
    "validate": (overload("format-validate", "NamedFormat.(string) optional(list(string))", _validate),),
    "format.named": (overload("format-named", "(string) optional(NamedFormat)", _by_name),),
    **{
        f"format.{name}": (overload(f"format.{name}", "() NamedFormat", _constant(value)),)
        for name, value in _FORMATS.items()
    },
}
