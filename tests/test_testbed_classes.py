"""Names of classes, the likeliest of them, and the line that shows them."""

from pathlib import Path

import pytest
import torch

from offload.dnn import pictures
from offload.dnn.pictures import PictureError
from offload.entities import Plan
from offload.testbed.classes import labels, line, top, where
from tests.hand_made import variant

NET = variant([100] * 67, name="int8")


def test_names_come_from_a_file_else_are_known_else_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes("\ufefftench, Tinca tinca\r\n Katze \r\nb\x1b[31mad\r\n\r\n".encode())
    assert labels(path, "net", 3) == ("tench", "Katze", "b?[31mad")
    assert labels(None, "fashion-cnn", 10) == pictures.CLASSES
    assert labels(None, "fashion-cnn", 2) == ("#0", "#1")
    assert labels(None, "net", 2) == ("#0", "#1")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\nb", "2 lines; net has 3 classes, and each needs one"),
        (b"a\nb\nc\nd", "4 lines; net has 3 classes"),
        (b"a\n\nc", r"labels\.txt:2: empty; write a class"),
        (b"", "0 lines"),
        (b"\xff\xfe\x00", "no text that can be read"),
    ],
)
def test_names_that_do_not_fit_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(content)
    with pytest.raises(PictureError, match=message):
        labels(path, "net", 3)


def test_files_of_names_are_bounded(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="no text that can be read"):
        labels(tmp_path, "net", 3)
    path = tmp_path / "labels.txt"
    path.write_bytes(b"a" * 10_000_001)
    with pytest.raises(PictureError, match="more than 10,000,000 bytes"):
        labels(path, "net", 1)
    path.write_bytes(b"\n" * 100_000 + b"a")
    with pytest.raises(PictureError, match="100001 lines; net has 1000 classes") as told:
        labels(path, "net", 1000)
    assert len(str(told.value).splitlines()) <= 20
    path.write_bytes(b"a" * 1000)
    assert len(labels(path, "net", 1)[0]) == 200


def test_the_likeliest_by_softmax() -> None:
    logits = torch.log(torch.tensor([[0.1, 0.5, 0.15, 0.25]])) + 7
    found = top(logits, "abcd", 3)
    assert [name for name, _ in found] == ["b", "d", "c"]
    assert [chance for _, chance in found] == pytest.approx([0.5, 0.25, 0.15])
    assert len(top(logits[0].bfloat16(), "abcd")) == 4
    with pytest.raises(RuntimeError):
        top(logits, "abc")


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        (Plan(NET, 66, 66), "device int8"),
        (Plan(NET, 12, 66, "cabinet"), "edge 12/66 int8"),
        (Plan(NET, 0, 66, "cabinet"), "edge 0/66 int8"),
        (Plan(NET, 0, 0, None, "region"), "cloud 0/66 int8"),
        (Plan(NET, 12, 30, "cabinet", "region"), "edge 12 cloud 30/66 int8"),
        (Plan(variant([9] * 5, exits=(2, 4)), 1, 2, "cabinet", exit=0), "edge 1/2 fp32"),
        (Plan(variant([9] * 5, exits=(2, 4)), 2, 2, exit=0), "device fp32"),
    ],
)
def test_plans_in_short(plan: Plan, told: str) -> None:
    assert where(plan) == told


def test_a_line_as_it_is_shown() -> None:
    found = [
        ("Egyptian cat", 0.61),
        ("tabby", 0.2),
        ("tiger cat", 0.1),
        ("lynx", 0.05),
        ("Siamese", 0.004),
    ]
    assert line(12, "chelsea.png", Plan(NET, 12, 66, "cabinet"), 0.03449, found) == (
        "  12 chelsea.png    edge 12/66 int8     34.5 ms"
        "  Egyptian cat 61%  tabby 20%  tiger cat 10%  lynx 5%"
    )
    long = [("shopping basket", 0.6), ("shopping cart", 0.3), ("hamper", 0.05), ("plastic bag", 0.05)]
    assert line(12, "a.png", Plan(NET, 12, 66, "cabinet"), 0.03449, long).endswith(
        "  shopping ba… 60%  shoppi… 30%  hamper 5%  plast… 5%"
    )
    assert line(3, "z", Plan(NET, 66, 66), 1.0, [("ankle boot", 0.99), ("sneaker", 0.01)]) == (
        "   3 z              device int8       1000.0 ms  ankle boot 99%  sneaker 1%"
    )


@pytest.mark.parametrize("letters", [1, 5, 15, 200])
@pytest.mark.parametrize("number", [0, 99_999])
def test_a_line_fits_the_screen(letters: int, number: int) -> None:
    found = [("W" * letters, 1.0)] + [("i" * (letters + 1), 0.01)] * 4
    for plan in (Plan(NET, 66, 66), Plan(NET, 12, 30, "cabinet", "region")):
        told = line(number, "x" * letters, plan, 99.9999, found)
        assert len(told) <= 100
        assert told.isprintable()
        assert told.count("%") == 5
    assert line(1, "a\x1b[2Jb", Plan(NET, 66, 66), 0.1, []).startswith("   1 a?[2Jb ")


def test_what_says_nothing_can_be_shown() -> None:
    found = top(torch.full((8,), torch.nan), ["a class of a long name"] * 8)
    assert line(1, "x", Plan(NET, 66, 66), 0.1, found).count("nan%") == 5
