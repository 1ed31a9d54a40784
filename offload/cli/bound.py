"""The command that tells how far policies are from what no policy can beat."""

import json

import typer

from offload.cli.common import BadInputError, Json, clear_errors
from offload.cli.runs import File, Policies, Replications, Seed, Set, choices


def bound(
    file: File,
    policy: Policies = None,
    replications: Replications = None,
    seed: Seed = None,
    settings: Set = None,
    json_: Json = False,
) -> None:
    """Prove a bound on any policy for a small scenario, and show each policy's regret over it."""
    with clear_errors():
        from offload.analysis.bounds import regrets
        from offload.analysis.files import to_json
        from offload.scenario.load import load
        from offload.views.progress import progress
        from offload.views.regrets import show

        scenario = load(file, settings or ())
        chosen = choices(policy, scenario) if policy else list(scenario.compared)
        if not chosen:
            msg = f"{file}: no [compare] table; add one or give --policy, repeatedly"
            raise BadInputError(msg)
        runs = scenario.file.compare.replications if scenario.file.compare else 10
        found = regrets(scenario, chosen, replications or runs, seed, progress)
        if json_:
            typer.echo(json.dumps(to_json(found.as_json())))
        else:
            show(found)
