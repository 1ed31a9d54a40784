"""The command that serves the playground."""

import os
import sys
from typing import Annotated

import typer

from offload.cli.common import clear_errors

Port = Annotated[int, typer.Option(min=0, max=65535, help="Where to listen; 0 takes any that is free.")]
NoOpen = Annotated[bool, typer.Option("--no-open", help="Print the address, and open no browser.")]


def play(port: Port = 8765, no_open: NoOpen = False) -> None:
    """Open a page to play with: where to cut a network, and which policy does well, as sliders move."""
    with clear_errors("nothing was served"):
        from offload.views.play.server import listen, serve

        with listen(port) as listening:
            host, here = listening.getsockname()
            address = f"http://{host}:{here}/"
            opened = not no_open and _open(address)
            typer.echo(f"{address} {'is open' if opened else 'to open'} in a browser; Ctrl-C ends it")
            serve(listening)
        typer.echo("ended")


def _open(address: str) -> bool:
    """Open a browser with a window of its own, if there may be one; tell whether there is."""
    windows = sys.platform in ("darwin", "win32") or {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys()
    if not windows:
        return False  # a browser on the terminal would take that from us
    import webbrowser

    return webbrowser.open(address)
