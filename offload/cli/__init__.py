"""The command line: every command a thin wrapper around what a program could call."""

import sys

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


for _command in (
    networks.models, networks.hardware, policies.policies, networks.profile, split.split,
    compress.compress, codecs.codecs, export.export, new.new, new.schema, check.check,
    runs.run, runs.compare, explain.explain, bound.bound, sweep.sweep, sweep.merge, size.size,
    traffic.traffic, timeline.timeline, play.play,
):  # fmt: skip
    app.command()(_command)
app.add_typer(testbed.app, name="testbed")


def main() -> None:
    """Run the command line."""
    sys.path.insert(0, "")  # a user's own policies and networks lie where the command is called
    app()
