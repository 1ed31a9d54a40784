"""What a shell may complete: scenario files, policies, networks.

A shell asks whenever the tab key is pressed, so nothing here imports more than names.
"""

from pathlib import Path


def scenario_files(incomplete: str) -> list[str]:
    """Return the TOML files that begin so, and those in folders that do."""
    head, slash, tail = incomplete.rpartition("/")
    found = [f"{head}{slash}{name}" for name in _names(f"{head}{slash}") if name.startswith(tail)]
    found += [f"{each}/{name}" for each in found for name in _names(each)]
    return [each for each in found if each.endswith(".toml") and Path(each).is_file()]


def _names(folder: str) -> list[str]:
    """Return what is in a folder and not hidden; nothing if it is none."""
    try:
        return sorted(each.name for each in Path(folder).iterdir() if not each.name.startswith("."))
    except OSError:
        return []


def policies(incomplete: str) -> list[str]:
    """Return the names of policies that begin so."""
    from offload.policies.named import NAMED

    return [name for name in NAMED if name.startswith(incomplete)]


def networks(incomplete: str) -> list[str]:
    """Return the names of shipped networks that begin so."""
    from offload.shipped import DATA

    names = {path.name.split(".")[0] for path in (DATA / "profiles").glob("*.json")}
    return sorted(name for name in names if name.startswith(incomplete))
