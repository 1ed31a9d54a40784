"""Lines of keys in TOML texts: examples by hand, and every path of any text that can be made."""

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from offload.scenario.lines import find_lines
from tests import hand_made

Path = tuple[str | int, ...]


def paths(told: object, here: Path = ()) -> Iterator[Path]:
    """Yield the path of every table, value and array element, its own included."""
    if here:
        yield here
    if isinstance(told, dict | list):
        for key, value in told.items() if isinstance(told, dict) else enumerate(told):
            yield from paths(value, (*here, key))


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ("a = 1", ("a",), 1),
        ("\n\na = 1\nb = 2", ("b",), 4),
        ("# a = 0\na = 1 # b = 2\nb = 3", ("b",), 3),
        ('a = "# no comment"\nb = 1', ("b",), 2),
        ("[t]\na = 1", ("t",), 1),
        ("[t]\na = 1", ("t", "a"), 2),
        ("\n[t.u]\n\na = 1", ("t", "u", "a"), 4),
        ("\n[t.u]\n\na = 1", ("t",), 2),
        (" [ t . u ] # x\n a = 1", ("t", "u", "a"), 2),
        ("[t]\n[u]\na = 1", ("u", "a"), 3),
        ("[[t]]\na = 1\n[[t]]\na = 2", ("t",), 1),
        ("[[t]]\na = 1\n[[t]]\na = 2", ("t", 0), 1),
        ("[[t]]\na = 1\n[[t]]\na = 2", ("t", 1), 3),
        ("[[t]]\na = 1\n[[t]]\na = 2", ("t", 1, "a"), 4),
        ("[[t]]\n[t.u]\na = 1\n[[t]]\n[t.u]\na = 2", ("t", 1, "u", "a"), 6),
        ("[[t]]\n[[t.u]]\na = 1\n[[t.u]]\na = 2\n[[t]]\n[[t.u]]\na = 3", ("t", 0, "u", 1, "a"), 5),
        ("[[t]]\n[[t.u]]\na = 1\n[[t.u]]\na = 2\n[[t]]\n[[t.u]]\na = 3", ("t", 1, "u", 0, "a"), 8),
        ("[[t]]\n[[t.u]]\n[t.u.v]\na = 1", ("t", 0, "u", 0, "v", "a"), 4),
        ("a.b.c = 1", ("a", "b"), 1),
        ("[t]\na.b = 1\na.c = 2", ("t", "a", "c"), 3),
        ('"a.b" = 1\n"c".\'d\' = 2', ("a.b",), 1),
        ('"a.b" = 1\n"c".\'d\' = 2', ("c", "d"), 2),
        ('x = 1\n"\\u0061\\tb" = 1', ("a\tb",), 2),
        ('x = 1\n"\\"" = 1', ('"',), 2),
        ("x = 1\n'a\\tb' = 1", ("a\\tb",), 2),
        ('x = 1\n"" = 2', ("",), 2),
        ("x = 1\n1234 = 2", ("1234",), 2),
        ("a = { b = 1, c = { d = 2 } }\nx = 1", ("a", "c", "d"), 1),
        ("a = [\n1,\n# 2,\n3 ]", ("a", 1), 4),
        ("a = [\n{ b = 1 },\n{ b = 2, c.d = [ 1,\n2 ] } ]", ("a", 1, "c", "d", 1), 4),
        ("a = [[1,\n2],\n[3]]\nb = 1", ("a", 1, 0), 3),
        ('a = """\n[t]\nb = 1\n"""\nb = 2', ("b",), 5),
        ('a = """x\\"""" \nb = 2', ("b",), 2),
        ('a = """x"""""\nb = 2', ("b",), 2),
        ("a = '''\nb = '' 1\n''''\nb = 2", ("b",), 4),
        ("a = '''\\'''\nb = 2", ("b",), 2),
        ('a = ""\nb = 2', ("b",), 2),
        ('a = ["", \'\', "]", "}"]\nb = 2', ("b",), 2),
        ("a = 1979-05-27 07:32:00\nb = 2", ("b",), 2),
        ("a = [1979-05-27 07:32:00, 1979-05-27 ]\nb = 2", ("a", 1), 1),
        ("a = [+inf, -nan, 0x1F, 1_000, 6.0e-3]\nb = 2", ("b",), 2),
    ],
)
def test_examples(text: str, path: Path, line: int) -> None:
    assert path in set(paths(tomllib.loads(text)))  # the example itself must be right
    assert find_lines(text).get(path) == line


@pytest.mark.parametrize("file", hand_made.SHIPPED, ids=lambda file: file.stem)
def test_every_key_of_a_shipped_scenario_is_where_its_name_stands(file: Any) -> None:
    text = file.read_text()
    found, lines = find_lines(text), text.splitlines()
    for path in paths(tomllib.loads(text)):
        assert path in found
        if isinstance(path[-1], str):
            assert path[-1] in lines[found[path] - 1]


# What follows writes random tables in random style, so that the line of each key is known.

KEYS = st.one_of(
    st.from_regex(r"[A-Za-z0-9_-]{1,4}", fullmatch=True),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=4),
)
SCALARS = st.one_of(
    st.integers(-(10**9), 10**9),
    st.booleans(),
    st.floats(allow_nan=False),
    st.datetimes(),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


def quoted(text: str) -> str:
    """Write a basic string on one line."""
    short = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return '"' + "".join(
        short.get(c, c if c.isprintable() else f"\\U{ord(c):08x}") for c in text
    ) + '"'  # fmt: skip


class Writer:
    """Writes TOML, and notes on which line each path begins."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.text = ""
        self.lines: dict[Path, int] = {}

    @property
    def line(self) -> int:
        return self.text.count("\n") + 1

    def maybe(self) -> bool:
        return self.draw(st.booleans())

    def key(self, name: str) -> str:
        bare = name and all(c.isascii() and (c.isalnum() or c in "-_") for c in name)
        if bare and self.maybe():
            return name
        if "'" not in name and (name.isprintable()) and self.maybe():
            return f"'{name}'"
        return quoted(name)

    def gap(self) -> str:
        return self.draw(st.sampled_from(["", " ", "\t", "\n", " # [x] = {\n", "\r\n"]))

    def value(self, value: object, path: Path) -> None:
        self.lines.setdefault(path, self.line)
        if isinstance(value, list):
            self.text += "["
            for number, each in enumerate(value):
                self.text += self.gap()
                self.value(each, (*path, number))
                self.text += self.gap() + ("," if number < len(value) - 1 or self.maybe() else "")
            self.text += self.gap() + "]"
        elif isinstance(value, dict):
            self.text += "{"
            for number, (name, each) in enumerate(value.items()):
                self.lines[*path, name] = self.line
                self.text += (", " if number else " ") + self.key(name) + " = "
                self.value(each, (*path, name))
            self.text += " }"
        elif isinstance(value, bool):
            self.text += "true" if value else "false"
        elif isinstance(value, str):
            self.string(value)
        elif hasattr(value, "isoformat"):
            self.text += value.isoformat(sep=" " if self.maybe() else "T")
        else:
            self.text += repr(value)

    def string(self, text: str) -> None:
        tame = all(c.isprintable() or c == "\n" for c in text) and "\\" not in text
        if tame and "'''" not in text and not text.endswith("'") and self.maybe():
            self.text += f"'''\n{text}'''"
        elif tame and '"""' not in text and self.maybe():
            self.text += f'"""\n{text}"""'
        else:
            self.text += quoted(text)

    def table(self, told: dict[str, Any], path: Path, header: str) -> None:
        """Write the plain values of a table, then the tables in it under headers of their own."""
        later = []
        for name, value in told.items():
            tables = isinstance(value, list) and value and all(isinstance(v, dict) for v in value)
            if (isinstance(value, dict) or tables) and self.maybe():
                later.append((name, value))
                continue
            self.text += self.draw(st.sampled_from(["", "\n", "# y = 1\n", "\t"]))
            self.lines[*path, name] = self.line
            self.text += self.key(name) + " = "
            self.value(value, (*path, name))
            self.text += "\n"
        for name, value in later:
            dotted = f"{header}.{self.key(name)}" if header else self.key(name)
            for number, each in enumerate(value if isinstance(value, list) else [value]):
                here: Path = (*path, name, number) if isinstance(value, list) else (*path, name)
                self.lines.setdefault((*path, name), self.line)
                self.lines.setdefault(here, self.line)
                self.text += f"[[{dotted}]]\n" if isinstance(value, list) else f"[ {dotted} ] # z\n"
                self.table(each, here, dotted)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(KEYS, VALUES, max_size=5), st.data())
def test_every_path_has_the_line_on_which_it_was_written(told: dict[str, Any], data: Any) -> None:
    writer = Writer(data.draw)
    writer.table(told, (), "")
    read = tomllib.loads(writer.text)
    assert read == told  # the writer writes TOML
    found = find_lines(writer.text)
    assert {path: found.get(path) for path in paths(read)} == {
        path: writer.lines[path] for path in paths(read)
    }


@settings(max_examples=300)
@given(st.text(st.sampled_from("a\"'[]{}=,.#\n\\1 -"), max_size=30))
def test_never_crashes_on_text_and_finds_every_path_of_what_is_toml(text: str) -> None:
    try:
        told = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    found = find_lines(text)
    assert set(paths(told)) <= set(found)
