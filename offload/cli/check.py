"""The command that checks a scenario, and tells what its keys mean."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from offload.cli.common import BadInputError, Json, clear_errors, show_list
from offload.cli.completion import scenario_files
from offload.cli.runs import Set

if TYPE_CHECKING:
    from offload.scenario.setup import Setting

Some = Annotated[
    Path | None, typer.Argument(help="A scenario file (TOML).", autocompletion=scenario_files)
]
Explain = Annotated[
    str | None,
    typer.Option("--explain", help="Tell what a KEY means, like links.cell.up or deadline, instead."),
]


def check(file: Some = None, settings: Set = None, explain: Explain = None, json_: Json = False) -> None:
    """Check a scenario; show which variant can run where, and how each latency is known.

    With --explain say what a key means and takes, and with a file what stands there.
    """
    with clear_errors():
        if explain is not None:
            if settings:
                msg = "--set: has no part in what --explain tells; leave one of them out"
                raise BadInputError(msg)
            _explain(explain, file, json_)
            return
        if file is None:
            msg = "give a scenario file (TOML) to check, or --explain KEY"
            raise BadInputError(msg)
        _check(file, settings or [], json_)


def _explain(asked: str, file: Path | None, json_: bool) -> None:
    from offload.scenario.faults import dotted
    from offload.scenario.keys import find, there
    from offload.scenario.load import read
    from offload.views import keys as view

    told: list[tuple[Any, list[view.Found]]] = [(key, []) for key in find(asked)]
    if file is not None:
        draft = read(file)
        for key, found in told:
            for path, value in there(draft.raw, key, asked):
                found.append((f"{file}:{draft.lines.get(path, 1)}", dotted(path), value))
    if json_:
        # Dates, inf and nan, which a file may have and JSON has not, as texts.
        plain = json.loads(json.dumps(view.as_json(told), default=str), parse_constant=str)
        typer.echo(json.dumps(plain))
        return
    view.show(told)


def _check(file: Path, settings: list[str], json_: bool) -> None:
    from offload.planning.validity import why_not_at
    from offload.scenario.coverage import remarks
    from offload.scenario.load import load

    scenario = load(file, settings)
    found = scenario.setting(0.0)
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for facts in found.facts:
        for place, profiles in facts.profiles.items():
            name = facts.hardware.name if place == "device" else facts.nodes[place].hardware.name
            for variant in facts.variants:
                profile = profiles.get(variant)
                where = facts.group if place == "device" else place
                rows[variant.label, where, name] = {
                    "variant": variant.label,
                    "place": where,
                    "hardware": name,
                    "known": profile.known if profile else "none",
                    "latency_s": sum(profile.layers_s[1]) if profile else None,
                    "error": profile.error if profile else why_not_at(facts, place, variant),
                }
    offers, remarked = _offers(found), remarks(found, scenario.file.map)
    table, overheads = list(rows.values()), list(scenario.file.overheads)
    if json_:
        told = {"scenario": scenario.file.name, "devices": len(found.devices), "profiles": table}
        costs = [
            {"key": f"{of}.{key}", "known": each.known, "source": each.source, **each.figures}
            for of, key, each in overheads
        ]
        typer.echo(json.dumps(told | {"offers": offers, "overheads": costs, "remarks": remarked}))
        return
    typer.echo(f"{file}: {len(found.devices)} devices, {len(found.sources)} sources of requests")
    for remark in remarked:
        typer.echo(f"note: {remark}")
    show_list(table, ["variant", "place", "hardware", "known", "latency_s", "error"], json_=False)
    for each in offers:
        words = {"codecs": "codecs", "exits": "exits after layers", "confidences": "confidences"}
        offer = [f"{words[key]} {', '.join(map(str, each[key]))}" for key in words if each[key]]
        typer.echo(f"{each['task']}, {each['variant']}: {'; '.join(offer) or 'no codecs'}")
    for of, key, overhead in overheads:
        typer.echo(f"{of}.{key}: {overhead}")


def _offers(found: "Setting") -> list[dict[str, Any]]:
    """What each task offers besides raw values and whole networks: codecs, and exits after layers."""
    return [
        {
            "task": f"{facts.group}.{facts.asked}",
            "variant": variant.label,
            "codecs": [codec for codec in facts.codecs if codec in {name for name, _ in variant.codecs}],
            "exits": [variant.cuts[cut].after for cut in variant.exits],
            "confidences": list(facts.confidences) if variant.leaves_early else [],
        }
        for facts in found.facts
        for variant in facts.variants
        if facts.codecs or variant.leaves_early
    ]
