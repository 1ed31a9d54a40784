"""Lesson 10: how many servers and how much bandwidth a site needs for a promise, and what that costs."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="10. Size an edge site")

with app.setup:
    import math
    import tempfile
    from pathlib import Path

    import marimo as mo
    import numpy as np
    import polars as pl

    import offload
    from offload.analysis.compare import silent
    from offload.analysis.sizing import costs
    from offload.analysis.sizing.bounds import bounds
    from offload.analysis.sizing.grid import Case, Sizing, grid
    from offload.analysis.sizing.result import result
    from offload.analysis.sizing.target import read as target
    from offload.analysis.statistics import interval
    from offload.analysis.sweeping.vary import read as vary
    from offload.views.size import draw


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # 10. Size an edge site

    A city wants forty cameras at a junction to recognise vehicles, and the contract says: **99 % of the
    frames on time**. Somebody must buy servers and rent bandwidth before anything is measured there. Too
    little breaks the contract, too much is paid for every month.

    You will first do the sum on the back of an envelope, then let the library search among many
    configurations for the cheapest that is *shown* to keep the promise, and see where the envelope was
    wrong. At the end stands what neither of the two says.
    """)


@app.cell
def _():
    junction = mo.notebook_dir().parent / "scenarios" / "staleness.toml"
    shorter = ["duration=6 s", "warm_up=2 s"]  # the file simulates 30 s; a lesson must be quick
    scenario = offload.load(junction, shorter)
    _file = scenario.file
    _task = _file.devices["camera"].tasks["objects"]
    facts = scenario.setting(0.0).facts[0]
    _variant = facts.variants[0]
    cameras, every_s, frame_bytes = _file.devices["camera"].count, _task.every, _task.input.mean_bytes
    server_s = facts.profiles["cabinet"][_variant].seconds(0, _variant.last)
    camera_s = facts.profiles["device"][_variant].seconds(0, _variant.last)
    mo.md(f"""
    The junction is that of lesson 7, `scenarios/staleness.toml`: {cameras} cameras, a frame of
    {frame_bytes / 1e3:.0f} kB each {1e3 * every_s:.0f} ms (assumed), a deadline of
    {1e3 * _task.deadline:.0f} ms (assumed). MobileNetV2 takes {1e3 * server_s:.1f} ms on a core of the
    cabinet ({facts.profiles["cabinet"][_variant].known}) and {1e3 * camera_s:.0f} ms on a camera
    ({facts.profiles["device"][_variant].known}).
    """)
    return cameras, camera_s, every_s, facts, frame_bytes, junction, scenario, server_s, shorter


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## By hand

    Every resource can do so much a second; what is asked of it must be less, with something to spare
    (lesson 6: near a load of 1 waits grow without end).

    | symbol | meaning | unit |
    |:--|:--|:--|
    | $N, \tau$ | cameras; time from frame to frame of each | s |
    | $f$ | share of the frames that are sent to the site | |
    | $\lambda = f N / \tau$ | frames that come to the site in a second | 1/s |
    | $S$ | work of a frame on a server | s |
    | $B$ | bytes of a frame | byte |
    | $\rho$ | the load that is allowed; 0.8 is a rule of thumb | |
    | $a = \lambda S$ | offered work, in *erlang*: servers that would be busy all the time | |
    | $p$ | share on time of the frames that stay on the camera | |

    $$ c \ge \frac{\lambda S}{\rho} \qquad\qquad C \ge \frac{8 B \lambda}{\rho} \qquad\qquad
       f + (1 - f)\,p \ge 0.99 \;\Rightarrow\; f \ge \frac{0.99 - p}{1 - p} $$

    The first two are the utilisation law (Denning and Buzen 1978) with a limit; the third counts a
    frame that is sent as on time. $p$ is simulated here, since the camera's time spreads: the policy
    `local` alone.
    """)


@app.cell
def _():
    load_slider = mo.ui.slider(
        0.5, 1.0, step=0.05, value=0.8, label="load that is allowed", show_value=True
    )
    load_slider
    return (load_slider,)


@app.cell
def _(cameras, every_s, frame_bytes, load_slider, scenario, server_s):
    alone = float(
        np.mean(
            [offload.simulate(scenario, "local", replication=n).measures()["on_time"] for n in range(3)]
        )
    )
    share = (0.99 - alone) / (1 - alone)
    offered_hz = share * cameras / every_s
    by_hand = {
        "servers": math.ceil(offered_hz * server_s / load_slider.value),
        "Mbit/s": 8 * frame_bytes * offered_hz / load_slider.value / 1e6,
    }
    mo.md(f"""
    On the cameras alone {alone:.1%} are on time, so at least $f$ = **{share:.1%}** must be sent:
    {offered_hz:.0f} frames a second, {offered_hz * server_s:.2f} erlang of work and
    {8 * frame_bytes * offered_hz / 1e6:.0f} Mbit/s of frames. At a load of at most
    {load_slider.value:.2f} that takes **{by_hand["servers"]} core{"s" * (by_hand["servers"] > 1)}** and
    **{by_hand["Mbit/s"]:.0f} Mbit/s**.
    """)
    return alone, by_hand, offered_hz, share


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## By search

    The envelope knows no policy, no burst, no old report, and no network that is cut in the middle. A
    simulation does, but it has luck in it: 99.2 % in a few runs may be 98.9 % in truth. What counts is a
    **bound**: how low may the share be, given these runs?

    | symbol | meaning |
    |:--|:--|
    | $m$ | configurations that are possible |
    | $0.05 / m$ | how often the bound of each may be wrong; all hold at once with 95 % (Bonferroni) |
    | *meets* | its lower bound is at least the target |
    | *fails* | its upper bound is below the target |
    | *undecided* | neither, after as many runs as were allowed: nothing is claimed of it |
    | *ruled out* | smaller in everything than one that fails |
    | *not surer* | smaller in everything than one that is undecided |
    | *no cheaper* | costs at least as much as the answer |

    Bounds of a share near 1 are those of Clopper and Pearson (1934) for as many requests as have the
    spread that the replications show (Korn and Graubard 1998): `offload/analysis/sizing/bounds.py`. The
    search does not run everything: what is smaller than something that fails is looked at briefly and
    left, what costs more than an answer too. On the command line it is

    ```sh
    offload size scenarios/staleness.toml --policy sampled --target 'on_time >= 99%' \
      --vary 'nodes.cabinet.servers=1..2' \
      --vary 'links.cell.up=60..80 Mbit/s step 10 Mbit/s'
    ```
    """)


@app.cell
def _():
    target_dropdown = mo.ui.dropdown(
        ["on_time >= 90%", "on_time >= 99%", "on_time >= 99.9%"], value="on_time >= 99%", label="target"
    )
    target_dropdown
    return (target_dropdown,)


@app.cell
def _(junction, shorter, target_dropdown):
    with tempfile.TemporaryDirectory() as _folder:
        _varied = [
            vary("nodes.cabinet.servers=1..2"),
            vary("links.cell.up=60..80 Mbit/s step 10 Mbit/s"),
        ]
        _axes, _scenarios = grid(junction, _varied, shorter, silent)
        _cases = [
            Case(values, each, choice)
            for values, each in _scenarios
            for choice in each.compared
            if choice.label == "sampled"
        ]
        _search = Sizing(
            _axes, _cases, [target(target_dropdown.value)], most=10, seed=5, out=Path(_folder),
            progress=silent,
        )  # fmt: skip
        _search.run()
        found = result(_search)
    return (found,)


@app.cell
def _(found):
    def name(each) -> str:
        """Write a configuration for people."""
        return f"{each.values[0]} core{'s' * (each.values[0] != '1')}, {each.values[1]}"

    _said = str(found.targets[0])
    _lines = []
    for _number, _each in enumerate(found.configurations):
        _at = _each.measures["on_time"]
        _bound = _each.bounds.get(_said) if _each.tested else None
        _told = f"{100 * _bound.low:.2f} to {100 * _bound.high:.2f} %" if _bound else "-"
        _bold = "**" if _number == found.chosen else ""
        _lines.append(
            f"| {_bold}{name(_each)}{_bold} | {_each.cost.mean:.2f} | {_at.mean:.2%} | {_told} |"
            f" {_each.replications} |"
            f" {_bold}{_each.verdict}{_bold} |"
        )
    mo.md(
        f"""
    {found.possible} configurations are possible; {len(found.configurations)} were looked at, in
    {found.replications} runs (all of them would have taken {found.exhaustive}):

    | configuration | {found.currency} a month | on time | bounds that hold at once | runs | verdict |
    |:--|--:|--:|--:|--:|:--|
    """
        + "\n    ".join(_lines)
    )
    return (name,)


@app.cell
def _(found):
    figure = draw(found)
    figure.text(
        0.01, 0.005, f"95 % intervals; all prices assumed; {found.known}", fontsize=6.5, color="#555555"
    )
    figure
    return (figure,)


@app.cell
def _(found, name):
    if found.chosen is None:
        _answer = mo.md("None of them is shown to keep the promise: widen the grid, or allow more runs.")
    else:
        _best = found.configurations[found.chosen]
        _items = "\n    ".join(
            f"| {i.what} | {i.per_month:.2f} | {i.known} | {i.source} |" for i in _best.items
        )
        _answer = mo.md(f"""
    **{name(_best)}** is the cheapest that is shown to keep it. What it costs in {found.currency} a
    month, and how each part is known:

    | | a month | known | source |
    |:--|--:|:--|:--|
    {_items}
    | together | **{_best.cost.mean:.2f}** | | |
    """)
    _answer


@app.cell
def _(found, junction, shorter):
    _values = ("1", "80 Mbit/s") if found.chosen is None else found.configurations[found.chosen].values
    chosen_settings = [*shorter, f"nodes.cabinet.servers={_values[0]}", f"links.cell.up={_values[1]}"]
    _there = offload.load(junction, chosen_settings)
    _sampled = next(choice for choice in _there.compared if choice.label == "sampled")
    _rows = offload.simulate(_there, _sampled).rows().filter(pl.col("born_s") >= _there.file.warm_up)
    crossing = {
        "sent whole": float((_rows["device_cut"] == 0).mean()),
        "cut in the middle": float((_rows["split"] & (_rows["device_cut"] > 0)).mean()),
        "kB a frame": float(_rows["up_bytes"].mean()) / 1e3,
    }
    return chosen_settings, crossing


@app.cell(hide_code=True)
def _(by_hand, crossing, found, name):
    _best = None if found.chosen is None else found.configurations[found.chosen]
    _told = "" if _best is None else f"The search chose {name(_best)}; "
    mo.md(f"""
    **What to notice.**

    - {_told}the envelope said {by_hand["Mbit/s"]:.0f} Mbit/s. Where the two
      differ it is because the envelope sends whole frames. In the simulation
      {crossing["sent whole"]:.0%} are sent whole and {crossing["cut in the middle"]:.0%} are cut in the
      middle, where less crosses: {crossing["kB a frame"]:.0f} kB a frame on average.
    - The cell is nearly all of the bill, and a second core costs little; but where it is not what
      lacks, it buys nothing.
    - *Undecided* is an answer, too. Where the bounds hold the target between them, ten runs tell
      neither that it is met nor that it is missed, wherever the mean lies: a promise needs a bound, and
      so does a refusal.
    - The grid is coarse. The tool answers what it was asked: nothing between its steps was simulated.

    **What the answer does not say.**

    - *Anything about what was not varied.* Most of the rent pays for 400 Mbit/s **down**, which the file
      says and nobody asked about (exercise 3).
    - *That the prices are right.* All are assumed; the file says so for each. Replace them by your
      offers (`price`, `rent`); `offload size` keeps its rows, and simulates nothing again.
    - *That next year is like this.* Forty cameras, a frame each 200 ms, the same load by night and day.
      Sizing is for the busiest hour; growth needs its own configuration.
    - *That it survives a fault.* One core is one core. No replication showed a failure, so no bound
      knows of one: write it into the scenario (`[faults]`), and search again.
    - *That another policy would not be cheaper still*, or that this one keeps the promise elsewhere.
    - *That the latencies are true on your machines.* The cabinet's are measured on one kind of core,
      the cameras' are rescaled from a published table.
    """)


@app.cell
def _(cameras, chosen_settings, every_s, facts, found, junction, load_slider, offered_hz):
    _larger = 8 * 90e3 * offered_hz / load_slider.value / 1e6
    _needed = math.ceil(math.log(0.05) / math.log(0.999))
    _short, _enough = (
        bounds([0.001] * 10, 0.05, zero=0.999, requests=n).low >= 0 for n in (_needed - 1, _needed)
    )
    _down = "links.cell.down=10 Mbit/s"
    _narrow = offload.load(junction, [*chosen_settings, _down])
    _before, _after = (
        costs.total(costs.standing(each)) for each in (offload.load(junction, chosen_settings), _narrow)
    )
    _sampled = next(choice for choice in _narrow.compared if choice.label == "sampled")
    _runs = [offload.simulate(_narrow, _sampled, replication=n).measures()["on_time"] for n in range(5)]
    _kept = interval(_runs)
    _answer_bytes = facts.result_bytes[facts.variants[0]]
    _answers_bps = cameras / every_s * 8 * _answer_bytes
    exercises = [
        (
            "The cameras are replaced, and a frame has 90 kB. What does the envelope say of the"
            " bandwidth?",
            f"$C \\ge 8 B \\lambda / \\rho$ with $\\lambda$ = {offered_hz:.0f} of the"
            f" {cameras / every_s:.0f} frames a second: **{_larger:.0f} Mbit/s**, half as much again."
            " (Unless the network is cut: what crosses a cut does not depend on the size of the"
            " JPEG.)",
        ),
        (
            "Suppose that no frame at all was late. How many must you have seen to claim 99.9 % on"
            " time with 95 % confidence?",
            "If the truth were 99.9 %, $n$ frames would all be on time with probability $0.999^n$;"
            f" that is 5 % at $n = \\ln 0.05 / \\ln 0.999$ = **{_needed}** (the rule of three: $3 /"
            f" 0.001$). The library's bound agrees: {_needed - 1} frames"
            f" {'suffice' if _short else 'do not suffice'}, {_needed}"
            f" {'do' if _enough else 'do not'}. A target of 99.999 % needs a hundred times as many.",
        ),
        (
            "The rent is for up and down together, and the file has 400 Mbit/s down. How many do the"
            " answers need, and what does the site cost with 10?",
            f"An answer has {_answer_bytes / 1e3:.0f} kB, so all of them together need"
            f" **{_answers_bps / 1e6:.1f} Mbit/s**. With 10 Mbit/s down the standing costs are"
            f" **{_after:.2f}** instead of {_before:.2f} {found.currency} a month, and"
            f" {_kept.mean:.2%} are on time ({_kept.low:.2%} to {min(1.0, _kept.high):.2%}, five"
            " runs). No search finds what nobody varies: read the bill before you read the answer.",
        ),
    ]
    mo.accordion({question: mo.md(answer) for question, answer in exercises})
    return (exercises,)


if __name__ == "__main__":
    app.run()
