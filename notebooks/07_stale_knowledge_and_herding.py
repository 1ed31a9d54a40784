"""Lesson 7: forty cameras that all read the same old report, and what knowing is worth."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="7. Stale knowledge and herding")

with app.setup:
    import marimo as mo
    import numpy as np
    import polars as pl

    import offload
    from offload.analysis.statistics import Interval, interval
    from offload.views.figures import MARKERS, canvas, legend
    from offload.views.palette import colour


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # 7. Stale knowledge and herding

    The traffic news says that the side road is empty. Everybody turns into it, and it is full. The next
    news says so, everybody stays on the main road, and the side road is empty again. Nobody lied and
    nobody was stupid: all acted **alike**, on news that was **old**.

    Here forty cameras share a cell. Each reads how busy it was when the last report was made, and sends
    its frame where it would be done soonest. This lesson shows how good that is with fresh reports, how
    bad with old ones, and what helps.
    """)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## What a device expects

    A cell divides its time equally among those that send. Who reads in a report that $n$ devices are
    sending expects to be one of $n + 1$:

    | symbol | meaning | unit |
    |:--|:--|:--|
    | $N$ | devices; each makes a frame every $\tau$ seconds | |
    | $C$ | rate of the cell | bit/s |
    | $B$ | bytes of a frame | byte |
    | $n$ | devices that were sending when the last report was made | |
    | $R = C / (n + 1)$ | the rate that a device expects | bit/s |
    | $8B / R$ | the time that it expects a frame to be under way | s |
    | $a$ | age of the report: with one every $\Delta$ seconds, about $\Delta / 2$ on average | s |
    | $q = C \tau / 8BN$ | share of all frames that the cell can carry whole | |

    $n + 1$ is right if nobody else reads the same and does the same. When the cell looks idle, all $N$
    expect $8B/C$ and all get about $8BN/C$. The formulas are the library's (`offload.Uplink`, in
    `offload/entities.py`): sharing a cell equally is *processor sharing* (Kleinrock 1967). That selfish
    choices on the same old news swing from one side to the other was shown for load balancing by
    Mitzenmacher, *How useful is old information?* (2000).
    """)


@app.cell
def _():
    staleness = mo.notebook_dir().parent / "scenarios" / "staleness.toml"
    shorter = ["duration=10 s", "warm_up=4 s"]  # the file simulates 30 s: more runs, wider questions
    scenario = offload.load(staleness, shorter)
    choices = {choice.label: choice for choice in scenario.compared}
    _file = scenario.file
    _task = _file.devices["camera"].tasks["objects"]
    needed_bps = _file.devices["camera"].count / _task.every * 8 * _task.input.mean_bytes
    carried = _file.links["cell"].up / needed_bps
    (_facts,) = scenario.setting(0.0).facts
    _variant, _cut = _facts.variants[0], 41  # the cut that they choose most, as rows tell
    _profile = _facts.profiles["device"][_variant]
    _done = _profile.seconds(0, _cut) / _profile.seconds(0, _variant.last)
    mo.md(f"""
    The scenario is `scenarios/staleness.toml`: {_file.devices["camera"].count} cameras, a frame of
    {_task.input.mean_bytes / 1e3:.0f} kB each {1e3 * _task.every:.0f} ms, a deadline of
    {1e3 * _task.deadline:.0f} ms, a cell of {_file.links["cell"].up / 1e6:.0f} Mbit/s. All frames would
    need {needed_bps / 1e6:.0f} Mbit/s, so the cell carries $q$ = **{carried:.1%}** of them whole. A
    camera may also run the first layers itself and send what they make of the frame
    ({_variant.cuts[_cut].payload_bytes / 1e3:.0f} kB after {_done:.0%} of the work), or do all of it,
    for which it is nearly too slow (how slow, is *rescaled* from a published table). The policies are
    those that the file compares: {", ".join(f"`{label}`" for label in choices)}.
    """)
    return carried, choices, needed_bps, scenario, shorter, staleness


@app.cell
def _():
    every_dropdown = mo.ui.dropdown(
        ["1 ms", "50 ms", "100 ms", "200 ms", "1 s"], value="1 s", label="a report every"
    )
    every_dropdown
    return (every_dropdown,)


@app.cell
def _(choices, every_dropdown, scenario, shorter, staleness):
    def asked_bps(every: str, label: str) -> np.ndarray:
        """Return what cameras ask of the cell in each period of the frames, in bits a second."""
        here = offload.load(staleness, [*shorter, f"nodes.cabinet.reports.every={every}"])
        (facts,) = here.setting(0.0).facts
        crosses = {cut: float(each.payload_bytes) for cut, each in enumerate(facts.variants[0].cuts)}
        crosses |= {0: facts.input_bytes, facts.variants[0].last: 0.0}  # whole; computed at home
        period_s = here.file.devices["camera"].tasks["objects"].every
        by_period = (
            offload.simulate(here, choices[label])
            .rows()
            .group_by(period=(pl.col("born_s") / period_s).floor().cast(pl.Int64))
            .agg(bits=8 * pl.col("device_cut").replace_strict(crosses).sum())
            .filter(pl.col("period") < round(here.file.duration / period_s))
            .sort("period")
        )
        return by_period["bits"].to_numpy() / period_s

    cell_bps = scenario.file.links["cell"].up
    asked = {label: asked_bps(every_dropdown.value, label) for label in ("quickest", "sampled")}
    quick = asked_bps("1 ms", "quickest")
    herding, _axes = canvas(
        f"what the cameras ask of the cell, with a report every {every_dropdown.value}"
    )
    for _label, _bps in asked.items():
        _axes.step(
            0.2 * np.arange(len(_bps)), _bps / 1e6, where="post", label=_label,
            color=colour(_label, list(choices)), linewidth=1.6,
        )  # fmt: skip
    _axes.axhline(
        cell_bps / 1e6, color="#555555", linestyle=":", linewidth=1.2, label="what the cell carries"
    )
    _axes.set(
        xlabel="time (s)", ylabel="asked of the cell, by periods of 200 ms (Mbit/s)", ylim=(-3, 118)
    )
    legend(_axes, loc="upper right", ncols=3)
    herding.text(0.01, 0.005, f"simulated; {scenario.known}", fontsize=6, color="#555555")
    herding
    return asked, cell_bps, herding, quick


@app.cell(hide_code=True)
def _(asked, cell_bps, every_dropdown, quick):
    def _swing(bps):
        return float(np.std(bps[len(bps) // 5 :]) / 1e6)

    mo.md(f"""
    **What to notice.** With one report a second `quickest` asks for nearly everything for a second, then
    for nothing for a second. Never is it in the middle, at the {cell_bps / 1e6:.0f} Mbit/s where it
    should be. (Its standard deviation with a report every {every_dropdown.value}:
    {_swing(asked["quickest"]):.0f} Mbit/s.) Choose 1 ms, and the same policy keeps to the middle within
    {_swing(quick):.0f} Mbit/s: nobody coordinates the cameras, each just takes what is quickest *now*.
    `sampled` is that policy with the same reports, which it believes less (below); its standard
    deviation is {_swing(asked["sampled"]):.0f}
    Mbit/s.
    """)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Trust old news less

    What a report said of something, $x$, wanders about its mean and forgets. After a while the mean says
    more than the report. If it forgets with a time constant $T_m$, then what is true now is about
    normal:

    $$ \text{mean } m + d\,(x - m), \qquad \text{variance } (1 - d^2)\,s^2, \qquad d = e^{-a / T_m} $$

    | symbol | meaning | unit |
    |:--|:--|:--|
    | $x$ | what the last report said, of age $a$ | |
    | $m, s^2$ | mean and variance of all that was reported so far | |
    | $d$ | how far the report is still to be believed: 1 when fresh, 0 when old | |
    | $T_m$ | time constant of forgetting, 50 ms in the library | s |

    Source: Uhlenbeck and Ornstein, *Physical Review* (1930); in the library
    `offload/planning/estimate.py`. With `estimate = "ewma"` a policy decides on the mean. All devices
    then still act alike. With `estimate = "sampled"` each **draws** from this normal distribution and
    decides on what it drew (Thompson, *Biometrika*, 1933): where news is old, some believe that the cell
    is busy and some do not, and so some send whole frames and some less.
    """)


@app.cell
def _(choices, shorter, staleness):
    ages_s = {"1 ms": 0.001, "50 ms": 0.05, "100 ms": 0.1, "200 ms": 0.2, "1 s": 1.0}
    replications = 4

    def on_time(label: str, *settings: str) -> list[float]:
        """Return the share of frames answered on time in each replication."""
        here = offload.load(staleness, [*shorter, *settings])
        runs = [offload.simulate(here, choices[label], replication=n) for n in range(replications)]
        return [run.measures()["on_time"] for run in runs]

    shares = {
        (label, every): on_time(label, f"nodes.cabinet.reports.every={every}")
        for label in ("quickest", "sampled")
        for every in ages_s
    }
    # Neither of these reads reports: one run of theirs stands for every age.
    for _label in ("local", "fresh"):
        _found = on_time(_label)
        shares |= {(_label, every): _found for every in ages_s}
    return ages_s, on_time, replications, shares


@app.cell
def _(ages_s, choices, replications, scenario, shares):
    figure, _axes = canvas(
        f"what reports are worth (95 % intervals over {replications} replications of 6 s)"
    )
    for _marker, _label in zip(MARKERS, ("fresh", "quickest", "sampled", "local"), strict=False):
        _found = [interval([100 * share for share in shares[_label, every]]) for every in ages_s]
        _axes.errorbar(
            list(ages_s.values()), [i.mean for i in _found],
            yerr=[[i.mean - i.low for i in _found], [min(i.high, 100) - i.mean for i in _found]],
            fmt=f"{_marker}{'--' if _label == 'fresh' else '-'}", markersize=5, capsize=3, linewidth=1.4,
            color=colour(_label, list(choices)), label=_label,
        )  # fmt: skip
    _axes.set(
        xscale="log",
        xlabel="time from report to report (logarithmic)",
        ylabel="frames answered on time (%)",
        ylim=(30, 103),
    )
    _axes.set_xticks(list(ages_s.values()), list(ages_s), fontsize=8)
    _axes.minorticks_off()
    legend(_axes, loc="lower left")
    figure.text(0.01, 0.005, f"simulated; {scenario.known}", fontsize=6, color="#555555")
    figure
    return (figure,)


@app.cell
def _(ages_s, shares):
    def paired(a: str, b: str, every: str) -> Interval:
        """Return the difference of two policies' shares in points, in the same worlds."""
        both = zip(shares[a, every], shares[b, every], strict=True)
        return interval([100 * (x - y) for x, y in both])

    _rows = []
    for _every in ages_s:
        _cells = [
            paired(a, b, _every)
            for a, b in (("quickest", "local"), ("sampled", "local"), ("fresh", "quickest"))
        ]
        _told = " | ".join(f"{i.mean:+.1f} ({i.low:+.1f} to {i.high:+.1f})" for i in _cells)
        _rows.append(f"| {_every} | {_told} |")
    mo.md(
        """
    What knowing is worth, in points of frames on time; in the same replications, so births and luck are
    the same on both sides (95 % intervals, each alone; with four replications they are wide):

    | reports every | `quickest` over `local` (looking) | `sampled` over `local` | \
`fresh` over `quickest` (age) |
    |:--|--:|--:|--:|
    """
        + "\n    ".join(_rows)
    )
    return (paired,)


@app.cell(hide_code=True)
def _(shares):
    _mean = {key: 100 * float(np.mean(found)) for key, found in shares.items()}
    mo.md(f"""
    **What to notice.**

    - Knowledge can be worth **less than nothing**. With a report every millisecond `quickest` is on
      time for {_mean["quickest", "1 ms"]:.1f} %; with one a second for {_mean["quickest", "1 s"]:.1f}
      %, while cameras that never look (`local`) keep {_mean["local", "1 s"]:.1f} %.
    - It is not that old news is wrong on average. It is that forty devices are wrong **together**.
      `sampled` has heard the same reports and keeps {_mean["sampled", "1 s"]:.1f} % with one a second.
    - The frames come every 200 ms. Reports that are much quicker than that see the herd as it moves;
      slower ones see it when it has passed. Whether a report is old is a question of what it is about.
    - `fresh` is the same policy with reports of no age: a reference (dashed), nothing that devices
      could have.
    """)


@app.cell
def _(ages_s, cell_bps, needed_bps, on_time, paired, scenario, shares):
    _gaps = {every: paired("local", "quickest", every) for every in ages_s}
    _worse = [every for every, gap in _gaps.items() if gap.low > 0]
    _open = [every for every, gap in _gaps.items() if gap.low <= 0 <= gap.high]
    _wide = interval(
        [
            100 * x
            for x in on_time("quickest", "links.cell.up=120 Mbit/s", "nodes.cabinet.reports.every=1 s")
        ]
    )
    _narrow = interval([100 * x for x in shares["quickest", "1 s"]])
    _devices = scenario.file.devices["camera"]
    _task = _devices.tasks["objects"]
    _alone_ms = 8e3 * _task.input.mean_bytes / cell_bps
    exercises = [
        (
            "When the report says that the cell is idle, how soon does a camera expect its frame to"
            " be through, and how long does it take if all forty believe it at once?",
            f"Expected: $8 \\cdot {_task.input.mean_bytes:.0f} / ({cell_bps / 1e6:.0f} \\cdot 10^6)$"
            f" s = **{_alone_ms:.0f} ms**. All at once: {_devices.count} times as long,"
            f" **{_alone_ms * _devices.count:.0f} ms**, far beyond the deadline of"
            f" {1e3 * _task.deadline:.0f} ms. (If none were dropped; here the cell drops what is late"
            " already, which makes room for others.)",
        ),
        (
            "From which of these intervals on is it surely better not to look at all?",
            "Where the paired difference `local` minus `quickest` has an interval above 0: at"
            f" **{', '.join(_worse) or 'none of them'}**. At {' and '.join(_open) or 'none'} four short"
            " replications do not decide; the ten of 30 s in README put the crossing near 100 ms.",
        ),
        (
            "The cell gets 120 Mbit/s: more than all frames need. Is a report a second still harmful?",
            f"All frames need {needed_bps / 1e6:.0f} Mbit/s, so sending everything fits now on"
            f" average, and yet `quickest` is on time for **{_wide.mean:.1f} %** ({_wide.low:.1f} to"
            f" {_wide.high:.1f}) instead of {_narrow.mean:.1f} % at 60 Mbit/s. Herding is a matter of"
            " capacity, too: where everybody fits, it does little harm that everybody comes.",
        ),
    ]
    mo.accordion({question: mo.md(answer) for question, answer in exercises})
    return (exercises,)


if __name__ == "__main__":
    app.run()
