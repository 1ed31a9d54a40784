"""On which line of a TOML text each key stands; tomllib does not tell."""

import re
import tomllib

Path = tuple[str | int, ...]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:\\.|(?!""").)*"{3,5}|\'\'\'(?:(?!\'\'\').)*\'{3,5}|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'',
    re.DOTALL,
)
_SKIP = re.compile(r"(?:[ \t\r\n,]|#[^\n]*)*")
_SCALAR = re.compile(r"[^\s,\]}#]+(?: \d[^\s,\]}#]*)?")


def find_lines(text: str) -> dict[Path, int]:
    r"""Map the path of every key and array element to its line, from 1. The text must be valid TOML.

    >>> find_lines('[a]\nb = [{ c = 1 },\n  2]')[("a", "b", 1)]
    3
    """
    return _Scan(text).lines


class _Scan:
    def __init__(self, text: str) -> None:
        self.text = text
        self.place = 0
        self.line = 1
        self.lines: dict[Path, int] = {}
        self.tables: dict[Path, int] = {}
        prefix: Path = ()
        while self._skip():
            if text[self.place] == "[":
                double = text.startswith("[[", self.place)
                self._move(2 if double else 1)
                names, prefix = self._keys(()), ()
                for name in names:
                    prefix = (*self._element(prefix), name)
                    self.lines.setdefault(prefix, self.line)
                if double:
                    self.tables[prefix] = self.tables.get(prefix, -1) + 1
                prefix = self._element(prefix)
                self.lines.setdefault(prefix, self.line)
                self._skip()
                self._move(2 if double else 1)
            else:
                self._pair(prefix)

    def _element(self, path: Path) -> Path:
        """`[a.b]` below `[[a]]` means the latest element of a."""
        return (*path, self.tables[path]) if path in self.tables else path

    def _move(self, count: int) -> None:
        self.line += self.text.count("\n", self.place, self.place + count)
        self.place += count

    def _skip(self) -> bool:
        match = _SKIP.match(self.text, self.place)
        self._move(match.end() - self.place if match else 0)
        return self.place < len(self.text)

    def _keys(self, prefix: Path) -> Path:
        """Read a dotted key."""
        while True:
            self._skip()
            quoted = _STRING.match(self.text, self.place)
            match = quoted or _BARE.match(self.text, self.place)
            if match is None:
                return prefix
            name = match.group()
            prefix = (*prefix, *tomllib.loads(f"{name}=0"))
            self._move(len(name))
            self._skip()
            if not self.text.startswith(".", self.place):
                return prefix
            self._move(1)

    def _pair(self, prefix: Path) -> None:
        line = self.line
        before = self.place
        path = self._keys(prefix)
        for end in range(len(prefix) + 1, len(path) + 1):
            self.lines.setdefault(path[:end], line)
        self._skip()
        self._move(1)  # the equals sign
        self._value(path)
        if self.place == before:  # not TOML after all; do not loop
            self.place = len(self.text)

    def _value(self, path: Path) -> None:
        self._skip()
        self.lines.setdefault(path, self.line)
        opening = self.text[self.place : self.place + 1]
        if opening in ("[", "{"):
            closing = "]" if opening == "[" else "}"
            self._move(1)
            number = 0
            while self._skip() and self.text[self.place] != closing:
                if opening == "[":
                    self._value((*path, number))
                    number += 1
                else:
                    self._pair(path)
            self._move(1)
            return
        match = _STRING.match(self.text, self.place) or _SCALAR.match(self.text, self.place)
        self._move(match.end() - self.place if match else 1)
