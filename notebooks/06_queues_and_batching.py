"""Lesson 6: why a server that rests a fifth of its time lets people wait, and what a batch buys."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="6. Queues and batching")

with app.setup:
    import math
    import tempfile
    from pathlib import Path

    import marimo as mo
    import numpy as np
    import polars as pl

    import offload
    from offload.analysis.statistics import interval
    from offload.views.figures import legend, panels
    from offload.views.palette import COLOURS


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # 6. Queues and batching

    A server needs 10 ms for a frame, for some less and for some more, and 80 frames a second come to it.
    So it works for 800 ms of every second and rests for 200 ms. Do frames have to wait, then?

    They do, and for long: on average four times as long as their own work takes. Frames do not come in
    step. Now and then five come at once, and the rest that the server had before is of no use to them:
    **idle time cannot be saved up**. This lesson shows how long the waits are, why the slowest twentieth
    suffers most, and why servers that take several frames at a time (GPUs) change the sum.

    Open it with `marimo edit notebooks/06_queues_and_batching.py`, or run it as a script.
    """)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Formulas for a queue

    Queues have short names: how arrivals come / how long the work takes / how many servers there are.
    `M` stands for pure chance (exponential gaps or times), `D` for always the same. Frames that come by
    pure chance to one server that takes a random time are an **M/M/1** queue.

    | symbol | meaning | unit |
    |:--|:--|:--|
    | $\lambda$ | frames that come in a second, on average | 1/s |
    | $S$ | time that the work of one frame takes, on average | s |
    | $c$ | servers | |
    | $\rho = \lambda S / c$ | load: the share of time for which a server works; must be below 1 | |
    | $v$ | standard deviation of the work over its mean (1 for M, 0 for D) | |
    | $T$ | time from coming to leaving: wait and work | s |
    | $C(c, \rho)$ | probability that all $c$ servers are busy when a frame comes | |

    $$ T_{M/G/1} = S + \frac{\rho\, S\,(1 + v^2)}{2\,(1 - \rho)}
       \qquad\text{so}\qquad T_{M/M/1} = \frac{S}{1 - \rho}
       \qquad\qquad T_{M/M/c} = S + \frac{C(c, \rho)\, S}{c\,(1 - \rho)} $$

    Sources: the first is by Pollaczek (1930) and Khinchine (1932), the last by Erlang (1917); Kleinrock,
    *Queueing Systems*, volume 1 (1975), derives all of them. In each the load stands below the line as
    $1 - \rho$: half of the rest that is left doubles the wait.
    """)


@app.function
def one_server_s(load: float, service_s: float, variation: float = 1.0) -> float:
    """Return the mean time in M/G/1, in seconds (Pollaczek and Khinchine)."""
    return service_s + load * service_s * (1 + variation**2) / (2 * (1 - load))


@app.function
def all_busy(servers: int, load: float) -> float:
    """Return the probability that who comes to M/M/c must wait (Erlang C, by Erlang B's recursion)."""
    offered, blocked = servers * load, 1.0
    for number in range(1, servers + 1):
        blocked = offered * blocked / (number + offered * blocked)
    return blocked / (1 - load * (1 - blocked))


@app.function
def several_servers_s(load: float, service_s: float, servers: int) -> float:
    """Return the mean time in M/M/c, in seconds."""
    return service_s + all_busy(servers, load) * service_s / (servers * (1 - load))


@app.cell
def _():
    load_slider = mo.ui.slider(0.1, 0.95, step=0.05, value=0.8, label="load", show_value=True)
    load_slider
    return (load_slider,)


@app.cell(hide_code=True)
def _(load_slider, service_s):
    _load = load_slider.value
    _mean_s = one_server_s(_load, service_s)
    _on_time = 1 - math.exp(-0.1 / _mean_s)
    mo.md(f"""
    At a load of **{_load:.2f}** ({_load / service_s:.0f} frames a second for one server):

    | | mean time | frames there (Little: $\\lambda T$) |
    |:--|--:|--:|
    | M/D/1: always the same work | {1e3 * one_server_s(_load, service_s, 0):.1f} ms | \
{_load / service_s * one_server_s(_load, service_s, 0):.1f} |
    | M/M/1: work of random length | {1e3 * _mean_s:.1f} ms | {_load / service_s * _mean_s:.1f} |
    | M/M/4: four servers, one queue, four times the frames | \
{1e3 * several_servers_s(_load, service_s, 4):.1f} ms | \
{4 * _load / service_s * several_servers_s(_load, service_s, 4):.1f} |

    In M/M/1 {_on_time:.1%} of the frames leave within 100 ms. Move the slider: from 0.8 to 0.9 is an
    eighth more work for the server and more than twice the wait for everybody.
    """)


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## The same by simulation

    A scenario file says all of this: a camera whose frames come by chance, a link that takes no time, a
    server. `offload.load` checks the file, and settings replace its keys; `offload.simulate` runs it
    once. Each **replication** has chance of its own, so several of them tell how far to trust their
    mean: that is the interval (Student's, 95 %; lesson 9 is about it).
    """)


@app.cell
def _():
    queue = """
    format = 1
    name = "queue"
    duration = "40 s"
    warm_up = "8 s"    # not counted: the server starts without a queue

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
    deadline = "100 ms"
    late = "finish"    # nobody gives up: formulas know no deadline
    input = "0 B"
    result = "0 B"

    [nodes.server]
    kind = "edge"
    hardware = "x86-core"
    servers = 1

    [links.hop]
    from = "*"
    to = "server"
    up = "1 Gbit/s"
    down = "1 Gbit/s"
    shared = false
    """
    mo.md(f"```toml{queue}```")
    return (queue,)


@app.function
def read(text: str, *settings: str) -> offload.Scenario:
    """Load a scenario from its text: it is written to a file that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lesson.toml"
        path.write_text(text)
        return offload.load(path, settings)


@app.function
def stays_s(scenario: offload.Scenario, replications: int) -> list[np.ndarray]:
    """Return how long each frame was at the server, in seconds: an array for each replication."""
    found = []
    for number in range(replications):
        rows = offload.simulate(scenario, "edge", replication=number).rows()
        found.append(rows.filter(pl.col("born_s") >= scenario.file.warm_up)["edge_s"].to_numpy())
    return found


@app.cell
def _(queue):
    service_s = 0.010
    loads = (0.3, 0.6, 0.8, 0.9)
    _constant = "models.work.variants.only.costs.x86-core.service=constant"
    _systems = {
        "M/M/1": (1, ()),
        "M/D/1": (1, (_constant,)),
        "M/M/4": (4, ("nodes.server.servers=4", "duration=12 s", "warm_up=3 s")),
    }
    simulated = {}  # by system and load: the stays of each replication
    for _name, (_servers, _settings) in _systems.items():
        for _load in loads:
            _every = f"devices.camera.tasks.frames.every={1e3 * service_s / _load / _servers!r} ms"
            simulated[_name, _load] = stays_s(read(queue, *_settings, _every), 6)
    return loads, service_s, simulated


@app.cell
def _(loads, service_s, simulated):
    queues, (_means, _slow) = panels("the same server at several loads", 2, 4.3, 3.6, 2)
    _at = np.linspace(0.05, 0.93, 100)
    _theory = {
        "M/M/1": [one_server_s(x, service_s) for x in _at],
        "M/M/4": [several_servers_s(x, service_s, 4) for x in _at],
        "M/D/1": [one_server_s(x, service_s, 0) for x in _at],
    }
    for (_name, _line), _colour in zip(_theory.items(), COLOURS, strict=False):
        _means.plot(_at, 1e3 * np.array(_line), color=_colour, label=f"{_name}, formula")
        _found = [interval([1e3 * each.mean() for each in simulated[_name, x]]) for x in loads]
        _means.errorbar(
            loads, [i.mean for i in _found], yerr=[i.high - i.mean for i in _found], fmt="o",
            markersize=4, capsize=3, linestyle="none", color=_colour, label=f"{_name}, simulated",
        )  # fmt: skip
    _means.set(xlabel="load of a server", ylabel="mean time, wait and work (ms)", ylim=(0, 170))
    _shares = ((50, COLOURS[2]), (95, COLOURS[3]), (99, COLOURS[4]))
    for _percent, _colour in _shares:
        _factor = -math.log(1 - _percent / 100)  # the time in M/M/1 is exponential (Kleinrock 1975)
        _slow.plot(_at, 1e3 * _factor * np.array(_theory["M/M/1"]), color=_colour,
                   label=f"p{_percent} of M/M/1, formula")  # fmt: skip
        _found = [
            interval([1e3 * np.quantile(each, _percent / 100) for each in simulated["M/M/1", x]])
            for x in loads
        ]
        _slow.errorbar(loads, [i.mean for i in _found], yerr=[i.high - i.mean for i in _found], fmt="o",
                       markersize=4, capsize=3, color=_colour)  # fmt: skip
    _slow.axhline(100, color="#999999", linestyle=":", linewidth=1)
    _slow.annotate("deadline 100 ms", (0.05, 106), fontsize=7, color="#555555")
    _slow.set(xlabel="load of the server", ylabel="time, wait and work (ms)", ylim=(0, 700))
    legend(_means, loc="upper left")
    legend(_slow, loc="upper left", bbox_to_anchor=(0, 0.95))
    queues.text(0.01, 0.005, "work of 10 ms assumed; points: simulated, 95 % intervals over 6 runs",
                fontsize=6.5, color="#555555")  # fmt: skip
    queues
    return (queues,)


@app.cell(hide_code=True)
def _(loads, service_s, simulated):
    _calm, _late = (
        [float(np.mean(each > 0.1)) for each in simulated["M/M/1", load]] for load in (0.6, 0.9)
    )
    _wide = interval([1e3 * each.mean() for each in simulated["M/M/1", loads[-1]]])
    mo.md(f"""
    **What to notice.**

    - The curves have no corner, and yet everybody speaks of a *knee*: up to a load of about 0.7 little
      happens, and from 0.8 on everything does. Kleinrock (1979) put a rule to it: the load over the
      time, $\\rho / T$, is largest in M/M/1 at $\\rho = 0.5$, where $T = 2S = {2e3 * service_s:.0f}$ ms.
    - Work that is always the same (M/D/1) waits half as long; four servers behind **one** queue wait
      much less at the same load, since a long frame blocks one of four only. Beyond the knee both rise
      as well.
    - The slow ones explode: p95, the time that 95 of 100 frames keep, is three times the mean
      ($\\ln 20 = {math.log(20):.1f}$), at every load. Who doubles the mean adds three times as much to
      p95. Late after 100 ms: {np.mean(_calm):.1%} of the frames at a load of 0.6, {np.mean(_late):.0%}
      at 0.9.
    - Formula and simulation agree within the intervals, and these grow with the load: at {loads[-1]} it
      is {_wide.low:.0f} to {_wide.high:.0f} ms. Near its limit a queue remembers for long, and
      half a minute tells little about it. (All loads are simulated with the same luck, so the points err
      to the same side.)
    """)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Batches

    A GPU takes hardly longer for two frames than for one: most of a short run is starting up. So the
    time of a batch is taken for a straight line (a model, and the library's; its two figures are
    published).

    | symbol | meaning | unit |
    |:--|:--|:--|
    | $b$ | frames in a batch | |
    | $\ell(b) = \alpha b + \beta$ | time of a batch | s |
    | $\alpha$ | what each further frame adds: one over the published *offline* rate | s |
    | $\beta$ | what a batch takes before its first frame | s |
    | $\mu(b) = b / \ell(b)$ | frames done in a second if all batches have $b$ | 1/s |
    | $(b - 1) / 2\lambda$ | how long a frame waits for company on average, in batches that fill | s |

    As $b$ grows, $\mu(b)$ goes to $1/\alpha$ and never past it, while every frame of a batch takes all
    of $\ell(b)$: **a batch trades latency for throughput**. Source of $\alpha$ and $\beta$ here: MLPerf
    Inference v0.7, an NVIDIA T4 with ResNet-50; the library reads both figures from
    `data/hardware/t4.toml`.

    A server does not wait for ever for company. In a scenario `batch = { max = 16, wait = "2 ms" }`
    begins a batch when 16 frames are there, or 2 ms after its first one came, if a server is free.
    """)


@app.cell
def _():
    batching = """
    format = 1
    name = "batching"
    duration = "1 s"
    warm_up = "200 ms"

    [devices.camera]
    count = 40
    hardware = "x86-core"
    [devices.camera.tasks.frames]
    models = ["resnet50"]
    variants = ["int8"]
    arrivals = "poisson"
    every = "40 ms"
    deadline = "50 ms"
    late = "finish"
    input = "0 B"      # nothing to send: this lesson is about the server
    result = "0 B"

    [nodes.gpu]
    kind = "edge"
    hardware = "t4"

    [links.hop]
    from = "*"
    to = "gpu"
    up = "10 Gbit/s"
    down = "10 Gbit/s"
    shared = false
    """
    wait_slider = mo.ui.slider(
        0, 8, step=1, value=2, label="wait for company, at most (ms)", show_value=True
    )
    wait_slider
    return batching, wait_slider


@app.cell
def _(batching):
    _facts = read(batching).setting(0.0).facts[0]
    _variant = _facts.variants[0]
    t4 = _facts.profiles["gpu"][_variant]

    def batch_s(size: int) -> float:
        """Return the seconds that a batch of this size takes on the T4."""
        return t4.seconds(0, _variant.last, size)

    mo.md(f"""
    From the library: a batch of one takes {1e3 * batch_s(1):.3f} ms, of 16 {1e3 * batch_s(16):.2f} ms;
    so $\\alpha$ = {1e3 * (batch_s(64) - batch_s(1)) / 63:.3f} ms and $\\beta$ =
    {1e3 * (batch_s(1) - (batch_s(64) - batch_s(1)) / 63):.3f} ms. How that is known: *{t4.known}*,
    {t4.error}.
    """)
    return batch_s, t4


@app.cell
def _(batch_s, batching, wait_slider):
    limits = (1, 4, 16)
    _rates_hz = (200, 500, 800, 1200, 1700, 2300, 3000, 3800)

    def served(limit, rate_hz, wait_ms):
        """Return the mean time of a frame in batches of at most so many, in seconds, of four runs."""
        settings = [f"devices.camera.tasks.frames.every={40e3 / rate_hz!r} ms"]
        if limit > 1:
            settings.append(f'nodes.gpu.batch={{ max = {limit}, wait = "{wait_ms} ms" }}')
        return interval([float(each.mean()) for each in stays_s(read(batching, *settings), 4)])

    latencies_s = {
        limit: {
            rate_hz: served(limit, rate_hz, wait_slider.value)
            for rate_hz in _rates_hz
            if rate_hz < 0.95 * limit / batch_s(limit)
        }
        for limit in limits
    }
    return latencies_s, limits, served


@app.cell
def _(batch_s, latencies_s, limits, wait_slider):
    figure, (_bought, _paid) = panels(
        "an NVIDIA T4 with ResNet-50: what batches buy, and what they cost", 2, 4.3, 3.6, 2
    )
    _sizes = np.arange(1, 33)
    _bought.plot(_sizes, [b / batch_s(b) for b in _sizes], color="#555555", label="b / l(b)")
    for _limit, _colour in zip(limits, COLOURS, strict=False):
        _most_hz = _limit / batch_s(_limit)
        _bought.plot(_limit, _most_hz, "o", color=_colour)
        _bought.annotate(f"{_most_hz:.0f} a second\n{1e3 * batch_s(_limit):.1f} ms a batch",
                         (_limit, _most_hz), xytext=(8, -14), textcoords="offset points",
                         fontsize=7)  # fmt: skip
        _found = latencies_s[_limit]
        _paid.errorbar(
            list(_found), [1e3 * i.mean for i in _found.values()],
            yerr=[1e3 * (i.high - i.mean) for i in _found.values()],
            fmt="o-", markersize=4, capsize=3, color=_colour,
            label="one by one" if _limit == 1 else f"batches of at most {_limit}",
        )  # fmt: skip
        _paid.axvline(_most_hz, color=_colour, linestyle=":", linewidth=1)
    _limit_hz = 1 / (batch_s(64) - batch_s(1)) * 63
    _bought.axhline(_limit_hz, color="#999999", linestyle=":", linewidth=1)
    _bought.annotate(
        f"1 / alpha: {_limit_hz:.0f} a second", (1, _limit_hz + 80), fontsize=7, color="#555555"
    )
    _bought.set(xlabel="frames in a batch, b", ylabel="most frames a second", ylim=(0, 6800))
    _paid.set(xlabel="frames a second that come (dotted: the most)",
              ylabel="mean time, wait and work (ms)", ylim=(0, None))  # fmt: skip
    _paid.set_title(f"waiting at most {wait_slider.value} ms for company", fontsize=8, loc="left")
    _bought.set_title("full batches", fontsize=8, loc="left")
    legend(_paid, loc="upper right", bbox_to_anchor=(0.94, 1))
    figure.text(0.01, 0.005, "l(b): from published single-stream latency and offline rate (MLPerf v0.7; "
                "int8 assumed); points: simulated, 95 % intervals over 4 replications",
                fontsize=6.5, color="#555555")  # fmt: skip
    figure
    return (figure,)


@app.cell(hide_code=True)
def _(batch_s, latencies_s, limits, served, wait_slider):
    _first, _last = min(latencies_s[limits[0]]), max(latencies_s[limits[-1]])
    _alone, _large = (1e3 * latencies_s[limit][_first].mean for limit in (limits[0], limits[-1]))
    _full = 1e3 * latencies_s[limits[-1]][_last].mean
    _at_once = [1e3 * served(limits[-1], rate_hz, 0).mean for rate_hz in (_first, _last)]
    mo.md(f"""
    **What to notice.**

    - One by one, the T4 does {1 / batch_s(1):.0f} frames a second, and {16 / batch_s(16):.0f} in
      batches of 16. No queueing trick gives that: the work itself became cheaper.
    - It has its price where there is little to do: at {_first} frames a second a frame takes
      {_alone:.1f} ms one by one and {_large:.1f} ms with batches, which wait at most
      {wait_slider.value} ms for company that hardly ever comes. With the slider at 0 a batch is
      whatever came while the server was at work: {_at_once[0]:.1f} ms there, and near the limit, at
      {_last}, {_at_once[1]:.1f} ms instead of {_full:.1f}, since batches now fill by themselves. So
      waiting saves a single server work, but nobody time.
    - The knee is still there, just further right: near its own dotted line each curve rises.
    """)


@app.cell
def _(batch_s, queue, service_s):
    _deadline_s = 0.1
    _most = 1 - service_s * math.log(20) / _deadline_s
    _every = f"devices.camera.tasks.frames.every={1e3 * service_s / _most!r} ms"
    _longer = read(queue, _every, "duration=150 s")
    _kept = interval([float(np.mean(each <= _deadline_s)) for each in stays_s(_longer, 8)])
    _two_queues, _one_queue, _fast = (
        1e3 * one_server_s(0.8, service_s),
        1e3 * several_servers_s(0.8, service_s, 2),
        1e3 * one_server_s(0.8, service_s / 2),
    )
    _needed = next(b for b in range(1, 65) if b / batch_s(b) > 3000)
    exercises = [
        (
            "One server, 10 ms a frame, all by chance (M/M/1): up to which load are 95 % of the"
            " frames done within 100 ms?",
            "p95 is $T \\ln 20 = S \\ln 20 / (1 - \\rho)$, which is 100 ms at $\\rho = 1 - S \\ln 20"
            f" / d$ = **{_most:.2f}**, that is {_most / service_s:.0f} frames a second. Simulated at"
            f" that load: {_kept.mean:.1%} within 100 ms (95 % interval {_kept.low:.1%} to"
            f" {_kept.high:.1%}). The {1 - _most:.0%} of its time for which the server rests are what"
            " the promise costs.",
        ),
        (
            "160 frames a second come. You may have two servers of 10 ms with a queue each, two"
            " behind one queue, or one server that is twice as fast. In which order do you buy?",
            f"All have a load of 0.8. Two queues: M/M/1 twice, **{_two_queues:.1f} ms**. One queue:"
            f" M/M/2, **{_one_queue:.1f} ms**, since nobody waits while a server rests. Twice as"
            f" fast: M/M/1 with $S$ = 5 ms, **{_fast:.1f} ms**. So the fast one, then one queue; two"
            " queues never.",
        ),
        (
            "3 000 frames a second come to the T4. What is the smallest limit of a batch with which"
            " it keeps up, and how long does such a batch take?",
            f"$b / (\\alpha b + \\beta)$ exceeds 3 000 a second from **b = {_needed}** on: it does"
            f" {_needed / batch_s(_needed):.0f} a second, and a batch takes"
            f" {1e3 * batch_s(_needed):.2f} ms. So close to its limit it waits for long; a limit of"
            f" {2 * _needed} can do {2 * _needed / batch_s(2 * _needed):.0f} a second.",
        ),
    ]
    mo.accordion({question: mo.md(answer) for question, answer in exercises})
    return (exercises,)


if __name__ == "__main__":
    app.run()
