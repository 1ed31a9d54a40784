"""Lesson 9: why one run is no result, and how to tell luck from a better policy."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="9. How to compare policies honestly")

with app.setup:
    import math
    import tempfile
    from pathlib import Path

    import marimo as mo
    import numpy as np
    import polars as pl
    from scipy.special import stdtrit

    import offload
    from offload.analysis.statistics import PAIRED, interval, mser5, pairs
    from offload.analysis.until import LEVEL, Until
    from offload.analysis.until import read as targets
    from offload.views.figures import canvas, legend, panels
    from offload.views.palette import COLOURS, colour


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # 9. How to compare policies honestly

    You simulate policy A: 61.2 % of the requests are useful. You simulate B: 62.0 %. So B is better?

    Perhaps B had an easier day. Cars came later, a channel was clearer, the network guessed right more
    often. A simulation has luck in it as the world has, and one run shows one day. This lesson shows
    six ways to fool yourself and others (one run, luck of their own, trying on, many comparisons, a
    cold start, lost requests), and what to do instead: most of it the library does unasked.
    """)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## One run is no result

    | symbol | meaning |
    |:--|:--|
    | $n$ | **replications**: runs that differ in nothing but their luck |
    | $x_1, \dots, x_n$ | what each came to, such as its share of useful requests |
    | $\bar x, s$ | their mean and their standard deviation |
    | $t_{n-1}$ | Student's factor: 2.26 for $n = 10$, 2.09 for $n = 20$, near 1.96 for many |

    $$ \bar x \pm t_{n-1}\, \frac{s}{\sqrt n} $$

    holds what infinitely many runs would come to, in 95 % of all studies (Student 1908; Law,
    *Simulation Modeling and Analysis*, chapter 4). Not the requests of one run are counted as $n$, but
    runs: two requests of one run stood in the same queue and share their luck. Four times the runs
    halve the interval.

    Below: the crossing of `scenarios/urban-intersection.toml`, made short, under two policies, twenty
    runs each. Requests are *useful* if they are answered correctly before their deadline.
    """)


@app.cell
def _():
    scenarios = mo.notebook_dir().parent / "scenarios"
    crossing = offload.load(scenarios / "urban-intersection.toml", ["duration=6 s", "warm_up=2 s"])
    policies, replications = ("quickest", "round-robin"), 20
    useful = {
        label: [
            offload.simulate(crossing, label, replication=n).measures()["useful"]
            for n in range(replications)
        ]
        for label in policies
    }
    return crossing, policies, replications, scenarios, useful


@app.cell
def _():
    first_slider = mo.ui.slider(1, 20, value=1, label="look at the run number", show_value=True)
    first_slider
    return (first_slider,)


@app.cell
def _(crossing, first_slider, policies, replications, useful):
    runs, _axes = canvas(
        "twenty runs of each policy; lines join the same births and the same luck", height=3.2
    )
    _a, _b = (100 * np.array(useful[label]) for label in policies)
    for _number, (_x, _y) in enumerate(zip(_a, _b, strict=True), start=1):
        _mine = _number == first_slider.value
        _look = ("#000000", 1.6, 3) if _mine else ("#BBBBBB", 0.7, 1)
        _axes.plot([_x, _y], [0, 1], **dict(zip(("color", "linewidth", "zorder"), _look, strict=True)))
    for _place, (_label, _values) in enumerate(zip(policies, (_a, _b), strict=True)):
        _axes.plot(_values, [_place] * replications, "o", markersize=5, color=colour(_label, policies))
        _found = interval(_values)
        _axes.errorbar(_found.mean, 1.5 * _place - 0.25, xerr=_found.high - _found.mean, fmt="D",
                       markersize=5, capsize=4, color=colour(_label, policies))  # fmt: skip
    _axes.set_yticks([0, 1], policies)
    _axes.set(
        xlabel="useful requests (%); diamonds: mean and 95 % interval over the runs", ylim=(-0.5, 1.5)
    )
    runs.text(0.01, 0.005, f"simulated; {crossing.known}", fontsize=6, color="#555555")
    runs
    return (runs,)


@app.cell(hide_code=True)
def _(policies, useful):
    _a, _b = (np.array(useful[label]) for label in policies)
    _same = int(np.sum(_a > _b))
    _crossed = int(np.sum(_a[:, None] > _b[None, :])) - _same
    mo.md(f"""
    **What to notice.** Take one run of each with different luck: in {_crossed} of
    {len(_a) * (len(_b) - 1)} such pairs `{policies[0]}` comes out better, in the others
    `{policies[1]}`. Within the *same* births and luck (the lines) it is better in {_same} of
    {len(_a)}. Runs of one policy lie up to
    {100 * np.ptp(_a):.1f} points apart, and nothing about the policy differs between them.
    """)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## The same luck for both: common random numbers

    $$ \text{var}(A - B) = \text{var}\,A + \text{var}\,B - 2\,\text{cov}(A, B) $$

    If A and B have luck of their own, the last part is zero. If both meet the *same* day, a bad day is
    bad for both, and the difference keeps little of it: subtract run by run, then take the interval of
    the differences (Law, chapter 11). It costs nothing. The library draws all chance by name (who is
    born when, whose channel fades), never by the order in which a policy asks for it, so replication 3
    is the same day for every policy. `offload compare` always subtracts in pairs.
    """)


@app.cell
def _(policies, replications, useful):
    def unpaired(a, b, level=0.95):
        """Return the low end, mean and high end of a difference of means, each with its own luck."""
        n = len(a)
        half = stdtrit(2 * n - 2, (1 + level) / 2) * math.sqrt(
            (np.var(a, ddof=1) + np.var(b, ddof=1)) / n
        )
        gap = np.mean(a) - np.mean(b)
        return gap - half, gap, gap + half

    def in_pairs(a, b, comparisons=1):
        """Return the same of the mean difference under the same luck; of so many that hold at once."""
        found = interval(a - b, comparisons=comparisons)
        return found.low, found.mean, found.high

    _a, _b = (100 * np.array(useful[label]) for label in policies)
    told = {
        "each its own luck": unpaired(_a, _b),
        "the same luck, in pairs": in_pairs(_a, _b),
        "in pairs, one of 36 comparisons": in_pairs(_a, _b, 36),
    }
    correlation = float(np.corrcoef(_a, _b)[0, 1])
    gain = ((told["each its own luck"][2] - told["each its own luck"][1])
            / (told["the same luck, in pairs"][2] - told["the same luck, in pairs"][1]))  # fmt: skip
    mo.md(
        f"""
    The correlation of the two policies' runs is {correlation:.2f}. The difference
    `{policies[0]}` minus `{policies[1]}`, in points:

    | told as | from | to |
    |:--|--:|--:|
    """
        + "\n    ".join(
            f"| {name} | {low:+.2f} | {high:+.2f} |" for name, (low, _, high) in told.items()
        )
        + f"""

    In pairs the interval is {gain:.1f} times as narrow, which would else have taken {gain**2:.1f} times
    as many as these {replications} runs.
    """
    )
    return correlation, gain, told, unpaired


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Trying until it looks good

    A 95 % interval misses the truth once in twenty studies. Who does $k$ studies of two policies that
    are **equal**, and reports the best, finds a difference with probability

    $$ 1 - 0.95^k $$

    | symbol | meaning |
    |:--|:--|
    | $k$ | independent tries: seeds, settings, deadlines, subsets of the data |

    With 14 tries it is more likely than not. The same holds for many comparisons in one table: nine
    policies make 36 pairs. Against the second there is Bonferroni's correction (each of $m$ intervals
    at $1 - 0.05/m$, so that all hold at once with 95 %), and the library does it for all pairs of one
    measure. Against the first only you can help: **choose seed, number of runs and measure before you
    look, and report all that you tried.**

    Here is the fraud in the open: both sides are `quickest`. A study compares five runs with five
    others; it is repeated with other runs until it claims a difference, or $k$ tries are over. The last
    figure shows how that ends.
    """)


@app.cell
def _(policies, unpaired, useful):
    _pool = np.array(useful[policies[0]])
    _chance = np.random.default_rng(9)
    tries = 20
    _studies = 500
    _found = np.zeros((_studies, tries), dtype=bool)
    for _study in range(_studies):
        for _try in range(tries):
            _drawn = _chance.permutation(_pool)
            _low, _, _high = unpaired(_drawn[:5], _drawn[5:10])
            _found[_study, _try] = _low > 0 or _high < 0
    claimed = np.logical_or.accumulate(_found, axis=1).mean(
        axis=0
    )  # by tries: share of studies with a claim
    return claimed, tries


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## The beginning does not count

    A simulation starts with empty queues, as no real site does. What is born in the first seconds waits
    less, and a short run flatters whoever causes queues. So the first part is left out: `warm_up` in a
    scenario. `warm_up = "auto"` finds where: MSER-5 (White 1997) cuts where the mean of the rest is
    told most precisely, in means of five, here

    $$ d^* = \arg\min_d \; \frac{1}{(m - d)^2} \sum_{i > d} (Y_i - \bar Y_d)^2 $$

    | symbol | meaning |
    |:--|:--|
    | $Y_1, \dots, Y_m$ | means of five values one after the other, over all replications |
    | $\bar Y_d$ | mean of those after the first $d$ |
    """)


@app.cell
def _():
    queue = """
    format = 1
    name = "queue"
    duration = "8 s"
    [models.work.variants.only]
    layers = [{ name = "all", output = "0 B" }]
    [models.work.variants.only.costs.x86-core]
    known = "assumed"
    source = "this lesson"
    seconds = ["10 ms"]
    service = "exponential"
    [devices.camera]
    hardware = "x86-core"
    [devices.camera.tasks.frames]
    models = ["work"]
    arrivals = "poisson"
    every = "12.5 ms"
    deadline = "1 s"
    late = "finish"
    input = "0 B"
    """
    with tempfile.TemporaryDirectory() as _folder:
        _path = Path(_folder) / "queue.toml"
        _path.write_text(queue)
        _scenario = offload.load(_path)
    _rows = pl.concat(offload.simulate(_scenario, "local", replication=n).rows() for n in range(120))
    _bin_s = 0.08
    _bins = (
        _rows.group_by(bin=(pl.col("born_s") / _bin_s).floor().cast(pl.Int64))
        .agg(pl.col("latency_s").mean())
        .sort("bin")
    )
    _means_s = _bins["latency_s"].to_numpy()
    cut_s = _bin_s * mser5(_means_s)
    stationary_s = 0.010 / (1 - 0.8)  # M/M/1, lesson 6
    warming, _axes = canvas("a server at a load of 0.8 that starts without a queue", height=3.2)
    _axes.plot(_bin_s * (_bins["bin"].to_numpy() + 0.5), 1e3 * _means_s, color=COLOURS[0], linewidth=1,
               label="mean of 120 replications, by time of birth")  # fmt: skip
    _axes.axhline(
        1e3 * stationary_s,
        color="#555555",
        linestyle="--",
        linewidth=1,
        label="after a long time (M/M/1)",
    )
    _axes.axvspan(
        0, cut_s, color=COLOURS[1], alpha=0.2, linewidth=0, label=f"left out by MSER-5: {cut_s:.1f} s"
    )
    _axes.set(xlabel="time of birth (s)", ylabel="mean latency (ms)", ylim=(0, 75), xlim=(0, 8))
    legend(_axes, loc="lower right")
    warming.text(0.01, 0.005, "simulated; the work of 10 ms is assumed", fontsize=6.5, color="#555555")
    warming
    return cut_s, stationary_s, warming


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## What was never answered

    The mean latency is a mean over answers. Whoever drops the slow ones improves it. So the library
    says: a request without an answer has an **infinite** latency; a mean over such is not defined,
    quantiles count them, and the headline is a share of **all born** requests.
    """)


@app.cell
def _(crossing):
    _rows = []
    survivors = {}
    for _label in ("edge", "local", "quickest"):
        _result = offload.simulate(crossing, _label)
        _measures = _result.measures()
        _counted = _result.rows().filter(pl.col("born_s") >= crossing.file.warm_up)
        _answered_ms = 1e3 * _counted["latency_s"].drop_nulls().mean()
        _lost = 1 - _counted["latency_s"].count() / _counted.height
        survivors[_label] = (_answered_ms, _lost, _measures["on_time"])
        _p95 = 1e3 * _measures["latency_p95_s"]
        _rows.append(
            f"| `{_label}` | {_answered_ms:.0f} ms | {_lost:.0%} | "
            f"{'infinite' if math.isinf(_p95) else f'{_p95:.0f} ms'} | {_measures['on_time']:.1%} |"
        )
    mo.md(
        """
    | policy (one run) | mean latency of those answered | never answered | p95 of all | on time, of all |
    |:--|--:|--:|--:|--:|
    """
        + "\n    ".join(_rows)
    )
    return (survivors,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## How many runs?

    To bring an interval from half-width $h$ to $h^*$ takes about $n\,(h / h^*)^2$ runs. Who stops as
    soon as the interval *looks* narrow stops too early: narrow by luck looks the same. `--until` adds
    runs by that rule, looks seldom, and takes wider intervals (97 % where 95 % are promised) to pay for
    looking:

    ```sh
    offload compare scenarios/urban-intersection.toml \
      --until 'useful ±0.5%, useful of pairs ±0.3%'
    ```

    How well the promise holds is told in `offload/analysis/until.py`, with figures of 20 000 simulated
    studies.
    """)


@app.cell
def _(policies, replications, useful):
    _until = Until(targets(["useful ±0.5%"]))
    _at = {label: {"useful": interval(useful[label], LEVEL)} for label in policies}
    wanted = _until.wanted(replications, _at)
    _unasked = dict.fromkeys(PAIRED, [math.nan] * replications)
    _two = {label: _unasked | {"useful": useful[label]} for label in policies}
    pair = next(each for each in pairs(_two) if each.measure == "useful")
    _halves = ", ".join(
        f"`{label}` ±{100 * (i['useful'].high - i['useful'].mean):.2f}" for label, i in _at.items()
    )
    _verdict = "differ" if pair.differs else "cannot be told apart by these runs"
    mo.md(f"""
    After {replications} runs the half-widths are {_halves} points (at 97 %). For ±0.5 points it would
    go on to **{wanted}** runs and look again. And the two policies {_verdict}: {100 * pair.low:+.2f} to
    {100 * pair.high:+.2f} points, if they were the only two that anybody compared.
    """)
    return pair, wanted


@app.cell
def _(claimed, crossing, policies, replications, told, tries, useful):
    figure, (_forest, _fraud) = panels(
        "the same runs, told in four ways; and what trying on does", 2, 4.5, 3.4, 2
    )
    _one = [100 * (a - b) for a, b in zip(useful[policies[0]], useful[policies[1]][1:], strict=False)]
    _forest.plot(_one[:6], [0] * 6, "x", color="#999999")
    for _place, (_low, _mean, _high) in enumerate(told.values(), start=1):
        _forest.errorbar(_mean, _place, xerr=[[_mean - _low], [_high - _mean]], fmt="o", markersize=6,
                         capsize=4, color=COLOURS[_place - 1])  # fmt: skip
    _names = [
        "six single runs,\nother luck each",
        "20 runs each,\nother luck",
        "20 pairs,\nthe same luck",
        "20 pairs, all of\n36 to hold at once",
    ]
    _forest.set_yticks(range(4), _names, fontsize=7.5)
    _forest.axvline(0, color="#999999", linestyle=":", linewidth=1)
    _forest.set(xlabel=f"useful: {policies[0]} minus {policies[1]} (points)", ylim=(3.5, -0.5))
    _k = np.arange(1, tries + 1)
    _fraud.plot(_k, 100 * (1 - 0.95**_k), color="#555555", linestyle="--", label="1 - 0.95^k")
    _fraud.plot(
        _k, 100 * claimed, "o", markersize=4, color=COLOURS[3], label=f"{policies[0]} against itself"
    )
    _fraud.axhline(5, color="#999999", linestyle=":", linewidth=1)
    _fraud.annotate("what was promised: 5 %", (tries, 6.5), fontsize=7, color="#555555", ha="right")
    _fraud.set(
        xlabel="tries, k",
        ylabel="studies that claim a difference (%)",
        ylim=(0, 100),
        xticks=(1, 5, 10, 15, 20),
    )
    legend(_fraud, loc="upper left")
    figure.text(0.01, 0.005, f"simulated, {replications} replications of 4 s; 95 % intervals; "
                f"{crossing.known}", fontsize=6.5, color="#555555")  # fmt: skip
    figure
    return (figure,)


@app.cell(hide_code=True)
def _(claimed, gain, survivors, tries):
    mo.md(f"""
    **What to notice.**

    - The crosses are what one run of each would have told: any story you like.
    - Pairing is worth {gain**2:.1f} times the runs here, for nothing. It cannot make a difference; it
      only takes away noise that both have in common. How much that is depends on how alike the policies
      act.
    - Equal policies "differ" in {claimed[0]:.0%} of honest studies and in {claimed[-1]:.0%} of those
      with {tries} tries. Nothing in the published figure shows how many there were.
    - Counting what was never answered turns the order of the policies round: `edge` has the best mean
      and answers {1 - survivors["edge"][1]:.0%} of the requests.
    """)


@app.cell
def _(claimed, pair, policies, replications, survivors, unpaired, useful):
    _a, _b = (100 * np.array(useful[label]) for label in policies)
    _low, _, _high = unpaired(_a, _b)
    _own, _paired = (_high - _low) / 2, 100 * (pair.high - pair.low) / 2
    _target = 0.5
    _edge, _local = survivors["edge"], survivors["local"]
    exercises = [
        (
            "You try 10 seeds and publish the one with the largest gain. Your policy is the same as"
            " the old one under another name. How likely is it that some 95 % interval excludes 0?",
            f"$1 - 0.95^{{10}}$ = **{1 - 0.95**10:.0%}** if the tries are independent; in the cell"
            f" above {claimed[9]:.0%} of the studies had claimed something by the tenth try. (Ten"
            " seeds are a fine thing if all ten are published: they are ten replications.)",
        ),
        (
            "How many runs of each policy does it take to know the difference of these two to ±0.5"
            " points: with luck of their own, and in pairs?",
            f"$n\\,(h / h^*)^2$ with $n$ = {replications}: unpaired $h$ = {_own:.2f} points, so"
            f" **{math.ceil(replications * (_own / _target) ** 2)}** runs; in pairs $h$ ="
            f" {_paired:.2f}, so **{max(2, math.ceil(replications * (_paired / _target) ** 2))}**."
            " (With few runs Student's factor grows, so that small numbers are too hopeful.)",
        ),
        (
            f'Somebody writes: "Always sending has a mean latency of {_edge[0]:.0f} ms, always computing'
            f" on the device one of {_local[0]:.0f} ms, so the edge is"
            f' {"quicker" if _edge[0] < _local[0] else "hardly slower"}." What is missing?',
            f"That `edge` never answered **{_edge[1]:.0%}** of the requests (`local`:"
            f" {_local[1]:.0%}). Those that it answers were lucky to come when the cell was not yet"
            f" full. Of all that were born {_edge[2]:.0%} were on time at the edge, and"
            f" {_local[2]:.0%} on the device.",
        ),
    ]
    mo.accordion({question: mo.md(answer) for question, answer in exercises})
    return (exercises,)


if __name__ == "__main__":
    app.run()
