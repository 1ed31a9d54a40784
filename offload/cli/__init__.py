"""The command line: every command a thin wrapper around what a program could call."""

import sys
from collections.abc import Callable

import typer

from offload.cli import (
    bound,
    check,
    codecs,
    compress,
    explain,
    export,
    networks,
    new,
    play,
    policies,
    report,
    runs,
    size,
    split,
    sweep,
    testbed,
    timeline,
    traffic,
)

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _offload() -> None:
    """Simulate where neural networks run: on the device, at the edge, in the cloud, or split."""


_OUTSIDE = "Traffic and testbed"
_PANELS: dict[str, tuple[Callable[..., None], ...]] = {
    "Scenarios": (new.new, check.check, runs.run, runs.compare, report.report, play.play),
    "Why, what if, how much": (
        explain.explain, timeline.timeline, sweep.sweep, sweep.merge, size.size, bound.bound,
    ),
    "What there is to choose from": (policies.policies, networks.models, networks.hardware, new.schema),
    "Networks of your own": (
        networks.profile, split.split, compress.compress, codecs.codecs, export.export,
    ),
    _OUTSIDE: (traffic.traffic,),
}  # fmt: skip
for _panel, _commands in _PANELS.items():
    for _command in _commands:
        app.command(rich_help_panel=_panel)(_command)
app.add_typer(testbed.app, name="testbed", rich_help_panel=_OUTSIDE)


def main() -> None:
    """Run the command line."""
    # A user's own policies and networks lie where the command is called; behind all else, so that a
    # click.py or queue.py which lies there too is not taken for what libraries mean by that name.
    sys.path.append("")
    app()
