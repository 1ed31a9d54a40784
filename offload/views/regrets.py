"""Bounds and regrets as tables on a terminal."""

from rich.console import Console
from rich.table import Table

from offload.analysis.bounds import Regrets
from offload.analysis.statistics import Interval
from offload.units import show_seconds
from offload.views.table import headed, mean_and_half


def show(found: Regrets) -> None:
    """Print the bound, what was found to be possible, each policy and its regret over the bound."""
    console = Console()
    for table in tables(found):
        console.print(table)
    console.print(notes(found), highlight=False)
    console.print(found.known, style="dim", highlight=False)


def tables(found: Regrets) -> list[Table]:
    """Return the shares and the latencies: a row for the bound, then one a policy."""
    each = found.requests / found.replications
    title = f"{found.scenario}: {found.replications} replications of about {each:.0f}, seed {found.seed}"
    shares = headed(title, ("missed", "regret", "useful", "regret"))
    times = headed("mean latency in ms of those who answer all", ("mean", "regret"))
    best = found.bound
    shares.add_row("bound", _share(best["missed"]), "", _share(best["useful"]), "", style="bold")
    shares.add_row("best plans found", _share(found.found), _share(found.gap), "", "")
    times.add_row("bound", _ms(best["latency_mean_s"]), "", style="bold")
    for policy in found.policies:
        mine, regret = policy.measures, policy.regret
        shares.add_row(
            policy.label, _share(mine["missed"]), _share(regret["missed"]), _share(mine["useful"]),
            _share(regret["useful"]),
        )  # fmt: skip
        times.add_row(policy.label, _ms(mine["latency_mean_s"]), _ms(regret["latency_mean_s"]))
    return [shares, times]


def notes(found: Regrets) -> str:
    """Explain the rows and columns."""
    told = [
        "bound: on these births and this luck no policy misses less, nor is useful more often,",
        "nor answers sooner if it answers all; not one that knows the future.",
        "regret: how much worse than the bound, in the same replication. What is possible lies",
        "between the bound and the best plans found, by a search that knows everything.",
        "- not defined: somebody was not answered, or nobody can say what is right.",
        f"Proving took {show_seconds(found.solve_s)} a replication.",
    ]
    if found.replications > 1:
        told.insert(0, f"± is half of the {found.level:.0%} interval over replications.")
    told += [
        f"{policy.label} knows more than devices can ({policy.knowledge}): a reference, no contender."
        for policy in found.policies
        if policy.knowledge != "reported"
    ]
    return " ".join(told)


def _share(found: Interval | None) -> str:
    return mean_and_half(found, 1.0, ".3f")


def _ms(found: Interval | None) -> str:
    return mean_and_half(found, 1e3, ".3f")
