"""Source to tokens."""

import re
from dataclasses import dataclass

from amdgpu_dra.core.cel.errors import Issue

__all__ = ["LexError", "Token", "tokenize"]


@dataclass(frozen=True, slots=True)
class Token:
    """One word of the source.

    `kind` is the operator itself, a keyword, or one of INT, UINT, FLOAT, STRING, BYTES, IDENT, ESCAPED, END.
    """

    kind: str
    text: str
    at: int


class LexError(Exception):
    """A character that begins no token."""

    def __init__(self, issue: Issue) -> None:
        super().__init__(issue.text)
        self.issue = issue


_ESCAPE = r"\\(?:[abfnrtv\"'\\?`]|[0-3][0-7][0-7]|[xX][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})"
_TEXT = "|".join(
    (
        r'[rR]"""(?s:.*?)"""',
        r"[rR]'''(?s:.*?)'''",
        r'[rR]"[^"\n\r]*"',
        r"[rR]'[^'\n\r]*'",
        rf'"""(?:{_ESCAPE}|[^\\])*?"""',
        rf"'''(?:{_ESCAPE}|[^\\])*?'''",
        rf'"(?:{_ESCAPE}|[^\\"\n\r])*"',
        rf"'(?:{_ESCAPE}|[^\\'\n\r])*'",
    )
)
_TOKEN = re.compile(
    rf"""
      (?P<SKIP>[\t\ \r\n\x0c]+|//[^\n]*)
    | (?P<FLOAT>[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+|\.[0-9]+(?:[eE][+-]?[0-9]+)?)
    | (?P<UINT>(?:0x[0-9a-fA-F]+|[0-9]+)[uU])
    | (?P<INT>0x[0-9a-fA-F]+|[0-9]+)
    | (?P<BYTES>[bB](?:{_TEXT}))
    | (?P<STRING>{_TEXT})
    | (?P<IDENT>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<ESCAPED>`[A-Za-z0-9_.\-/\ ]+`)
    | (?P<OP>==|!=|<=|>=|&&|\|\||[<>\[\]{{}}().,\-!?:+*/%])
    """,
    re.VERBOSE,
)
_WORDS = frozenset({"in", "true", "false", "null"})


def tokenize(source: str) -> list[Token]:
    """All tokens of the source, END last.

    Raises:
        LexError: at the first place where no token begins.
    """
    tokens: list[Token] = []
    place = 0
    while place < len(source):
        match = _TOKEN.match(source, place)
        if match is None:
            text = f"Syntax error: token recognition error at: '{source[place : place + 1]}'"
            raise LexError(Issue(at=place, text=text))
        place = match.end()
        kind, text = match.lastgroup or "", match.group()
        if kind == "SKIP":
            continue
        if kind == "OP" or text in _WORDS:
            kind = text
        tokens.append(Token(kind, text, match.start()))
    tokens.append(Token("END", "<EOF>", len(source)))
    return tokens
