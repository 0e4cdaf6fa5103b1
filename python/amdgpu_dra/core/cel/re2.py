"""RE2's syntax to Python's, refusing what RE2 refuses.

Matching differs in nothing that a pattern of RE2 can express: both search leftmost, first alternative first.
"""

import re

__all__ = ["BadPattern", "translate"]

_MOST_REPEATS = 1000
_CLASS_ESCAPES = {
    "d": "0-9",
    "w": "0-9A-Za-z_",
    "s": r"\t\n\f\r ",
}
_NEGATED = {
    "D": "0-9",
    "W": "0-9A-Za-z_",
    "S": r"\t\n\f\r ",
}
_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7f",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_CONTROL = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_REPEAT = re.compile(r"\{([0-9]+)(,([0-9]*))?\}")
_GROUP = re.compile(r"\(\?(?:(?:P)?<(?P<name>[A-Za-z0-9_]+)>|(?P<on>[imsU]*)(?:-(?P<off>[imsU]+))?(?P<end>[:)]))")
_FLAGS = "imsU"


class BadPattern(ValueError):  # noqa: N818 (what it is)
    """RE2 does not take the pattern."""


def translate(pattern: str) -> str:
    """The pattern for Python's `re`."""
    return _Translator(pattern).run()


class _Translator:
    def __init__(self, pattern: str) -> None:
        self._text = pattern
        self._at = 0
        self._out: list[str] = []
        self._flags = [frozenset[str]()]
        self._names: set[str] = set()
        self._repeatable = False
        self._repeated = False

    def run(self) -> str:
        while self._at < len(self._text):
            self._step()
        if len(self._flags) > 1:
            raise BadPattern(f"missing closing ): `{self._text}`")
        return "".join(self._out)

    def _step(self) -> None:
        char = self._text[self._at]
        if char == "(":
            self._open()
        elif char == ")":
            self._close()
        elif char == "[":
            self._emit(self._bracket())
        elif char == "\\":
            self._escape()
        elif char in "*+?":
            self._quantify(char, self._at + 1)
        elif char == "{" and _REPEAT.match(self._text, self._at):
            self._count()
        else:
            self._plain(char)

    def _emit(self, text: str) -> None:
        flags = "i" if "i" in self._flags[-1] else ""
        self._out.append(f"(?{flags}:{text})" if flags else text)
        self._repeatable, self._repeated = True, False

    def _plain(self, char: str) -> None:
        self._at += 1
        flags = self._flags[-1]
        if char == "|":
            self._out.append("|")
            self._repeatable = self._repeated = False
        elif char == ".":
            self._emit(r"(?s:.)" if "s" in flags else r"[^\n]")
        elif char == "^":
            self._emit("(?m:^)" if "m" in flags else r"\A")
        elif char == "$":
            self._emit(r"(?=\n|\Z)" if "m" in flags else r"\Z")
        else:
            self._emit(re.escape(char))

    def _open(self) -> None:
        if not self._text.startswith("(?", self._at):
            self._at += 1
            self._out.append("(")
            self._flags.append(self._flags[-1])
            self._repeatable = self._repeated = False
            return
        match = _GROUP.match(self._text, self._at)
        if match is None:
            raise BadPattern(f"invalid or unsupported Perl syntax: `{self._text[self._at : self._at + 3]}`")
        self._at = match.end()
        if match["name"]:
            self._named(match["name"])
            return
        on, off = match["on"] or "", match["off"] or ""
        if match["end"] == ")" and not on and not off:
            raise BadPattern("missing argument to repetition operator: `?`")
        flags = (self._flags[-1] | frozenset(on)) - frozenset(off)
        if match["end"] == ")":
            self._flags[-1] = flags
        else:
            self._out.append("(?:")
            self._flags.append(flags)
        self._repeatable = self._repeated = False

    def _named(self, name: str) -> None:
        if name in self._names:
            raise BadPattern(f"duplicate capture group name: `{name}`")
        self._names.add(name)
        self._out.append("(")
        self._flags.append(self._flags[-1])
        self._repeatable = self._repeated = False

    def _close(self) -> None:
        if len(self._flags) == 1:
            raise BadPattern(f"unexpected ): `{self._text}`")
        self._at += 1
        self._flags.pop()
        self._out.append(")")
        self._repeatable, self._repeated = True, False

    def _quantify(self, text: str, end: int) -> None:
        if not self._repeatable or self._repeated:
            kind = "invalid nested repetition operator" if self._repeated else "missing argument to repetition operator"
            raise BadPattern(f"{kind}: `{text}`")
        lazy = self._text.startswith("?", end)
        self._at = end + lazy
        if lazy == ("U" in self._flags[-1]):
            self._out.append(text)
        else:
            self._out.append(text + "?")
        self._repeated = True

    def _count(self) -> None:
        match = _REPEAT.match(self._text, self._at)
        assert match is not None  # noqa: S101 (the caller looked)
        low, comma, high = match.groups()
        top = int(high) if high else int(low)
        if int(low) > _MOST_REPEATS or top > _MOST_REPEATS or top < int(low):
            raise BadPattern(f"invalid repeat count: `{match.group()}`")
        text = f"{{{low}{',' if comma else ''}{high or ''}}}"
        self._quantify(text, match.end())

    def _escape(self) -> None:
        text = self._text[self._at :]
        if len(text) < 2:  # noqa: PLR2004 (a backslash and what it escapes)
            raise BadPattern("trailing backslash at end of expression: ``")
        mark = text[1]
        if mark in "AzbB":
            self._at += 2
            self._emit({"A": r"\A", "z": r"\Z", "b": r"(?a:\b)", "B": r"(?a:\B)"}[mark])
        elif mark == "Q":
            end = text.find(r"\E")
            literal = text[2:] if end < 0 else text[2:end]
            self._at += len(text) if end < 0 else end + 2
            for char in literal:
                self._emit(re.escape(char))
        elif mark in _CLASS_ESCAPES or mark in _NEGATED or mark in "pP":
            self._emit(f"[{self._class_escape()}]" if mark not in _NEGATED else f"[^{_NEGATED[self._skip()]}]")
        elif mark == "C":
            self._at += 2
            self._emit(r"(?s:.)")
        else:
            self._emit(re.escape(self._character()))

    def _skip(self) -> str:
        """Takes a backslash and its mark; gives the mark."""
        self._at += 2
        return self._text[self._at - 1]

    def _class_escape(self) -> str:
        """The inside of a class for an escape that names many characters, at its backslash."""
        mark = self._text[self._at + 1]
        if mark in _CLASS_ESCAPES:
            return _CLASS_ESCAPES[self._skip()]
        if mark in _NEGATED:
            return _complement(_NEGATED[self._skip()])
        return self._unicode_class()

    def _unicode_class(self) -> str:
        from amdgpu_dra.core.cel.unicode_classes import ranges_of  # noqa: PLC0415 (a large table that few want)

        mark = self._skip()
        rest = self._text[self._at :]
        if rest.startswith("{"):
            end = rest.find("}")
            if end < 0:
                raise BadPattern(f"invalid character class range: `\\{mark}{rest}`")
            name, self._at = rest[1:end], self._at + end + 1
        else:
            name, self._at = rest[:1], self._at + 1
        negated = (mark == "P") != name.startswith("^")
        inside = ranges_of(name.removeprefix("^"))
        if inside is None:
            raise BadPattern(f"invalid character class range: `\\{mark}{{{name}}}`")
        return _complement(inside) if negated else inside

    def _character(self) -> str:
        """The character that an escape stands for, at a backslash."""
        match = re.compile(
            r"\\(?:x\{(?P<long>[0-9A-Fa-f]+)\}|x(?P<hex>[0-9A-Fa-f]{2})|(?P<octal>0[0-7]{0,2}|[1-7][0-7]{1,2})"
            r"|(?P<control>[afnrtv])|(?P<mark>[!-/:-@\[-`{-~]))"
        ).match(self._text, self._at)
        if match is None:
            raise BadPattern(f"invalid escape sequence: `{self._text[self._at : self._at + 2]}`")
        self._at = match.end()
        if match["control"]:
            return _CONTROL[match["control"]]
        if match["mark"]:
            return match["mark"]
        if match["octal"]:
            return chr(int(match["octal"], 8))
        code = int(match["long"] or match["hex"], 16)
        if code > 0x10FFFF:  # noqa: PLR2004 (the last character)
            raise BadPattern(f"invalid escape sequence: `{match.group()}`")
        return chr(code)

    def _bracket(self) -> str:
        start = self._at
        self._at += 1
        negated = self._text.startswith("^", self._at)
        self._at += negated
        parts: list[str] = []
        first = True
        while first or not self._text.startswith("]", self._at):
            if self._at >= len(self._text):
                raise BadPattern(f"missing closing ]: `{self._text[start:]}`")
            parts.append(self._class_part())
            first = False
        self._at += 1
        return f"[{'^' if negated else ''}{''.join(parts)}]"

    def _class_part(self) -> str:
        posix = re.compile(r"\[:(\^?)([a-z]+):\]").match(self._text, self._at)
        if posix:
            if posix[2] not in _POSIX:
                raise BadPattern(f"invalid character class range: `{posix.group()}`")
            self._at = posix.end()
            return _complement(_POSIX[posix[2]]) if posix[1] else _POSIX[posix[2]]
        if self._text[self._at] == "\\" and self._text[self._at + 1 : self._at + 2] in set("dwsDWSpP"):
            return self._class_escape()
        low = self._class_character()
        following = self._text[self._at + 1 : self._at + 2]
        if self._text.startswith("-", self._at) and following not in {"]", ""}:
            self._at += 1
            high = self._class_character()
            if high < low:
                raise BadPattern(f"invalid character class range: `{low}-{high}`")
            return f"{_escaped(low)}-{_escaped(high)}"
        return _escaped(low)

    def _class_character(self) -> str:
        if self._at >= len(self._text):
            raise BadPattern(f"missing closing ]: `{self._text}`")
        if self._text[self._at] == "\\":
            return self._character()
        self._at += 1
        return self._text[self._at - 1]


def _escaped(char: str) -> str:
    code = ord(char)
    return f"\\U{code:08x}"


def _complement(inside: str) -> str:
    """The inside of a class that holds all other characters."""
    taken = sorted(_ranges(inside))
    out, following = [], 0
    for low, high in taken:
        if low > following:
            out.append(f"{_escaped(chr(following))}-{_escaped(chr(low - 1))}")
        following = max(following, high + 1)
    if following <= 0x10FFFF:  # noqa: PLR2004 (the last character)
        out.append(f"{_escaped(chr(following))}-{_escaped(chr(0x10FFFF))}")
    return "".join(out)


_ITEM = re.compile(
    r"(\\U[0-9a-f]{8}|\\x[0-9a-f]{2}|\\.|[^\\])(?:-(\\U[0-9a-f]{8}|\\x[0-9a-f]{2}|\\.|[^\\]))?", re.DOTALL
)


def _ranges(inside: str) -> list[tuple[int, int]]:
    return [(_code(match[1]), _code(match[2] or match[1])) for match in _ITEM.finditer(inside)]


def _code(text: str) -> int:
    if text.startswith(("\\U", "\\x")):
        return int("0x" + text[2:], 16)
    return ord(_CONTROL.get(text[1:], text[1:])) if text.startswith("\\") else ord(text)
