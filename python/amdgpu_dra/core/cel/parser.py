"""Tokens to nodes, with macros written out.

The limits on depth are those of cel-go's parser, 250 levels. Each rule of its grammar is counted while it reads, where
the right side of an operator is one level more; and so is the tree of operators, selections, indexes and member calls
that it makes, where a chain of `a.b.c` or `a + b + c` is as high as it is long.
"""

from collections.abc import Callable

from amdgpu_dra.core.cel.errors import CelCompileError, Issue
from amdgpu_dra.core.cel.lexer import LexError, Token, tokenize
from amdgpu_dra.core.cel.literals import read_bytes, read_float, read_int, read_string, read_uint
from amdgpu_dra.core.cel.macros import GLOBAL_MACROS, RECEIVER_MACROS, Builder, MacroError
from amdgpu_dra.core.cel.syntax import Call, Entry, Ident, ListOf, Literal, MapOf, Node, Select, Struct

__all__ = ["parse"]

_DEEPEST = 250
_RELATIONS = frozenset({"<", "<=", ">=", ">", "==", "!=", "in"})
_OPERATORS = {"in": "@in"}
_BINDING = {"+": 1, "-": 1, "*": 2, "/": 2, "%": 2}
_RESERVED = frozenset(
    [
        "as",
        "break",
        "const",
        "continue",
        "else",
        "false",
        "for",
        "function",
        "if",
        "import",
        "in",
        "let",
        "loop",
        "package",
        "namespace",
        "null",
        "return",
        "true",
        "var",
        "void",
        "while",
    ]
)


def parse(source: str) -> Node:
    """The expression of a source.

    Raises:
        CelCompileError: not an expression; the message shows the place.
    """
    try:
        return _Parser(tokenize(source)).whole()
    except (LexError, MacroError, _SyntaxFault) as fault:
        raise CelCompileError("compilation failed: " + fault.issue.render(source)) from None


class _SyntaxFault(Exception):  # noqa: N818 (never leaves this file)
    def __init__(self, at: int, text: str) -> None:
        super().__init__(text)
        self.issue = Issue(at=at, text=text)


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._place = 0
        self._make = Builder()
        self._depth = dict.fromkeys(("expr", "relation", "calc"), 0)
        self._heights: dict[int, int] = {}

    def whole(self) -> Node:
        node = self._expr()
        if self._next.kind != "END":
            raise self._unexpected(f"extraneous input {self._next.text!r} expecting <EOF>")
        return node

    @property
    def _next(self) -> Token:
        return self._tokens[self._place]

    def _take(self) -> Token:
        token = self._tokens[self._place]
        self._place += 1
        return token

    def _taken(self, kind: str) -> Token | None:
        return self._take() if self._next.kind == kind else None

    def _expect(self, kind: str) -> Token:
        if self._next.kind != kind:
            raise self._unexpected(f"mismatched input {self._next.text!r} expecting {kind!r}")
        return self._take()

    def _unexpected(self, text: str) -> _SyntaxFault:
        return _SyntaxFault(self._next.at, f"Syntax error: {text}")

    def _enter(self, rule: str) -> None:
        self._depth[rule] += 1
        if self._depth[rule] > _DEEPEST:
            raise self._too_deep()

    def _leave(self, rule: str) -> None:
        self._depth[rule] -= 1

    def _too_deep(self) -> _SyntaxFault:
        return _SyntaxFault(self._next.at, f"expression recursion limit exceeded: {_DEEPEST}")

    def _over(self, node: Node, *parts: Node, levels: int = 0) -> Node:
        """The node, with its height over its parts noted."""
        height = max((self._heights.get(part.id, 0) for part in parts), default=0) + levels
        if height > _DEEPEST:
            raise self._too_deep()
        self._heights[node.id] = height
        return node

    def _new(self, at: int) -> dict[str, int]:
        return {"id": self._make.next_id(), "at": at}

    def _call(self, at: int, function: str, *args: Node, levels: int = 0) -> Node:
        node = Call(id=self._make.next_id(), at=at, function=function, args=args)
        return self._over(node, *args, levels=levels)

    def _expr(self) -> Node:
        self._enter("expr")
        node = self._alternatives()
        mark = self._taken("?")
        if mark:
            yes = self._alternatives()
            self._expect(":")
            node = self._call(mark.at, "_?_:_", node, yes, self._expr(), levels=1)
        self._leave("expr")
        return node

    def _alternatives(self) -> Node:
        return self._any_of("||", lambda: self._any_of("&&", self._relation))

    def _any_of(self, operator: str, part: Callable[[], Node]) -> Node:
        terms = [part()]
        at = self._next.at
        while self._taken(operator):
            terms.append(part())
        return terms[0] if len(terms) == 1 else self._call(at, f"_{operator}_", *terms)

    def _relation(self) -> Node:
        self._enter("relation")
        node = self._sum(1)
        while self._next.kind in _RELATIONS:
            operator = self._take()
            self._enter("relation")
            right = self._sum(1)
            self._leave("relation")
            function = _OPERATORS.get(operator.kind, f"_{operator.kind}_")
            node = self._call(operator.at, function, node, right, levels=1)
        self._leave("relation")
        return node

    def _sum(self, least: int) -> Node:
        """Sums and products: operators that bind at least so tightly."""
        self._enter("calc")
        node = self._unary()
        while (binding := _BINDING.get(self._next.kind, 0)) >= least:
            operator = self._take()
            right = self._sum(binding + 1)
            node = self._call(operator.at, f"_{operator.kind}_", node, right, levels=1)
        self._leave("calc")
        return node

    def _unary(self) -> Node:
        mark = self._next
        if mark.kind == "!":
            return self._repeated("!", "!_")
        if mark.kind == "-" and self._tokens[self._place + 1].kind not in {"INT", "FLOAT"}:
            return self._repeated("-", "-_")
        return self._member(self._primary())

    def _repeated(self, mark: str, function: str) -> Node:
        first, count = self._next.at, 0
        while self._taken(mark):
            count += 1
        node = self._member(self._primary())
        return self._call(first, function, node) if count % 2 else node

    def _member(self, node: Node) -> Node:
        while self._next.kind in {".", "["}:
            mark = self._take()
            node = self._dotted(node, mark) if mark.kind == "." else self._indexed(node, mark)
        return node

    def _dotted(self, node: Node, dot: Token) -> Node:
        optional = self._taken("?")
        escaped = self._next.kind == "ESCAPED"
        name = self._take() if escaped else self._expect("IDENT")
        field = name.text.strip("`")
        if optional:
            literal = Literal(**self._new(name.at), value=field)
            return self._call(dot.at, "_?._", node, literal, levels=1)
        bracket = None if escaped else self._taken("(")
        if not bracket:
            return self._over(Select(id=self._make.next_id(), at=dot.at, operand=node, field=field), node, levels=1)
        return self._member_call(node, name, bracket)

    def _member_call(self, node: Node, name: Token, bracket: Token) -> Node:
        args = self._arguments()
        self._make.at = bracket.at
        macro = RECEIVER_MACROS.get((name.text, len(args)))
        expanded = macro(self._make, node, args) if macro else None
        if expanded is None:
            expanded = Call(id=self._make.next_id(), at=bracket.at, function=name.text, target=node, args=args)
        return self._over(expanded, node, *args, levels=1)

    def _indexed(self, node: Node, mark: Token) -> Node:
        optional = self._taken("?")
        index = self._expr()
        self._expect("]")
        return self._call(mark.at, "_[?_]" if optional else "_[_]", node, index, levels=1)

    def _arguments(self) -> tuple[Node, ...]:
        args: list[Node] = []
        if not self._taken(")"):
            args.append(self._expr())
            while self._taken(","):
                args.append(self._expr())
            self._expect(")")
        return tuple(args)

    def _primary(self) -> Node:
        token = self._next
        if token.kind in {"IDENT", "."}:
            return self._name()
        if token.kind == "(":
            self._take()
            node = self._expr()
            self._expect(")")
            return node
        if token.kind == "[":
            return self._list()
        if token.kind == "{":
            node = MapOf(**self._new(self._take().at), entries=self._entries(self._map_entry))
            keys = [entry.key for entry in node.entries if not isinstance(entry.key, str)]
            return self._over(node, *keys, *[entry.value for entry in node.entries])
        return self._literal()

    def _name(self) -> Node:
        dot = self._taken(".")
        token = self._expect("IDENT")
        name = ("." if dot else "") + token.text
        struct = self._struct_name(name)
        if struct is not None:
            mark = self._expect("{")
            made = Struct(**self._new(mark.at), name=struct, entries=self._entries(self._field_entry))
            return self._over(made, *[entry.value for entry in made.entries])
        if token.text in _RESERVED:
            raise _SyntaxFault(token.at, f"reserved identifier: {token.text}")
        bracket = self._taken("(")
        if not bracket:
            return Ident(**self._new(token.at), name=name)
        args = self._arguments()
        self._make.at = bracket.at
        macro = GLOBAL_MACROS.get((name, len(args)))
        if macro:
            return self._over(macro(self._make, args), *args)
        return self._call(bracket.at, name, *args)

    def _struct_name(self, name: str) -> str | None:
        """The dotted name before a brace, with its parts taken; None, with nothing taken, where no struct follows."""
        ahead, parts = self._place, [name]
        while self._tokens[ahead].kind == "." and self._tokens[ahead + 1].kind == "IDENT":
            parts.append(self._tokens[ahead + 1].text)
            ahead += 2
        if self._tokens[ahead].kind != "{":
            return None
        self._place = ahead
        return ".".join(parts)

    def _list(self) -> Node:
        mark = self._take()
        elements: list[Node] = []
        optional: set[int] = set()
        while self._next.kind != "]":
            if self._taken(","):
                break
            if self._taken("?"):
                optional.add(len(elements))
            elements.append(self._expr())
            if self._next.kind != "]":
                self._expect(",")
        self._expect("]")
        made = ListOf(**self._new(mark.at), elements=tuple(elements), optional=frozenset(optional))
        return self._over(made, *elements)

    def _entries(self, read: Callable[[], Entry]) -> tuple[Entry, ...]:
        entries: list[Entry] = []
        while self._next.kind != "}":
            if self._taken(","):
                break
            entries.append(read())
            if self._next.kind != "}":
                self._expect(",")
        self._expect("}")
        return tuple(entries)

    def _map_entry(self) -> Entry:
        optional = bool(self._taken("?"))
        key = self._expr()
        mark = self._expect(":")
        return Entry(key=key, value=self._expr(), optional=optional, at=mark.at)

    def _field_entry(self) -> Entry:
        optional = bool(self._taken("?"))
        key = (self._taken("ESCAPED") or self._expect("IDENT")).text.strip("`")
        mark = self._expect(":")
        return Entry(key=key, value=self._expr(), optional=optional, at=mark.at)

    def _literal(self) -> Node:
        negative = self._taken("-") is not None
        token = self._next
        if token.kind in _WORDS and not negative:
            self._take()
            return Literal(**self._new(token.at), value=_WORDS[token.kind])
        try:
            value = _constant(token, negative=negative)
        except ValueError as fault:
            raise _SyntaxFault(token.at, str(fault)) from None
        if value is None:
            raise self._unexpected(f"mismatched input {token.text!r} expecting an expression")
        self._take()
        return Literal(**self._new(token.at), value=value)


_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}


def _constant(token: Token, *, negative: bool) -> object:
    """The value of a number, string or bytes; None for any other token."""
    if token.kind == "INT":
        return read_int(token, negative=negative)
    if token.kind == "FLOAT":
        return read_float(token, negative=negative)
    if negative:
        return None
    readers = {"UINT": read_uint, "STRING": read_string, "BYTES": read_bytes}
    return readers[token.kind](token) if token.kind in readers else None
