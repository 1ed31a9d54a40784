"""Every lesson runs as a script, and ends in a figure and three exercises with computed answers."""

import ast
import html
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
LESSONS = sorted((ROOT / "notebooks").glob("[0-9]*.py"))
INDEX = (ROOT / "notebooks" / "README.md").read_text()

# Runs a lesson as `python FILE` does, and tells what its cells left behind.
DRIVER = """
import json, runpy, sys
import marimo
from matplotlib.figure import Figure

run, kept = marimo.App.run, []
def keep(app, *given, **named):
    kept.append(run(app, *given, **named))
    return kept[-1]
marimo.App.run = keep
runpy.run_path(sys.argv[1], run_name="__main__")
((outputs, defined),) = kept

def drawn(axes):
    return len(axes.lines) + len(axes.patches) + len(axes.collections) + len(axes.images)

figure = defined.get("figure")
told = {
    "pages": [output.text for output in outputs if isinstance(output, marimo.Html)],
    "exercises": [[str(part) for part in pair] for pair in defined.get("exercises", [])],
    "axes": [] if not isinstance(figure, Figure) else [
        {"drawn": drawn(axes), "labels": [axes.get_xlabel(), axes.get_ylabel()]} for axes in figure.axes
    ],
    "shown": any(output is figure for output in outputs),
}
if isinstance(figure, Figure):
    figure.canvas.draw()  # layout and labels, too, without a warning
with open(sys.argv[2], "w") as file:
    json.dump(told, file)
"""


def test_there_are_lessons() -> None:
    assert len(LESSONS) >= 5


def ran(lesson: Path, folder: Path) -> dict[str, Any]:
    told = folder / f"{lesson.stem}.json"
    environment = os.environ | {"MPLBACKEND": "Agg"}
    command = [sys.executable, "-W", "error", "-c", DRIVER, str(lesson), str(told)]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(told.read_text())


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.stem)
def test_a_lesson_runs_as_a_script_and_ends_in_a_figure_and_exercises(
    lesson: Path, tmp_path: Path
) -> None:
    found = ran(lesson, tmp_path)
    titles = re.findall(r"<h1[^>]*>(.*?)</h1>", " ".join(found["pages"]), re.DOTALL)
    assert len(titles) == 1
    assert f"[{re.sub('<[^>]*>', '', titles[0])}]({lesson.name})" in INDEX

    assert found["shown"], "the last figure, called figure, is not shown by its cell"
    assert found["axes"]
    assert all(axes["drawn"] for axes in found["axes"])
    assert any(all(axes["labels"]) for axes in found["axes"])

    assert len(found["exercises"]) == 3
    labels = re.findall(r"<marimo-accordion data-labels='(.*?)'", " ".join(found["pages"]), re.DOTALL)
    folded = [len(json.loads(html.unescape(each))) for each in labels]
    assert folded[-1:] == [3], "exercises are shown by mo.accordion, at the end"
    for question, answer in found["exercises"]:
        assert len(question) > 20
        assert not set("`$") & set(question), (
            "in its label an accordion lays out code and formulas apart"
        )
        assert re.search(r"\d", answer), "an answer has a number"


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.stem)
def test_answers_are_computed(lesson: Path) -> None:
    """No answer is a plain text: its figures come from what the lesson computed."""
    tree = ast.parse(lesson.read_text())
    assigned = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id == "exercises" for target in node.targets)
    ]
    assert len(assigned) == 1
    (exercises,) = assigned
    assert isinstance(exercises, ast.List)
    for pair in exercises.elts:
        assert isinstance(pair, ast.Tuple)
        _, answer = pair.elts
        assert not isinstance(answer, ast.Constant), ast.unparse(answer)


def test_the_index_leads_nowhere_else() -> None:
    linked = re.findall(r"\]\(([^)]*\.py)\)", INDEX)
    assert [name for name in linked if name.startswith(tuple(each.name[:2] for each in LESSONS))] == [
        each.name for each in LESSONS
    ]
