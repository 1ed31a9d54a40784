"""Lesson 5: what becomes of a cell that many share, by formula and by simulation."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="5. Sharing a cell")

with app.setup:
    import tempfile
    from pathlib import Path

    import marimo as mo
    import numpy as np
    from matplotlib import pyplot as plt

    import offload
    from offload.analysis.statistics import interval
    from offload.policies.table import choose
    from offload.views.palette import COLOURS, colour


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # 5. Sharing a cell

    Until now a camera had the radio cell to itself. Really a cell is shared by all who are near. If two
    send at once, each gets half of the air time; if ten send, a tenth. And because each then takes
    longer, others begin in the meantime. So what one camera sends makes *all others* slower, and that
    is nothing the camera notices when it decides.

    This way of serving, everybody at once and each a fair share, is called **processor sharing**.
    """)


@app.cell
def _():
    text = """
    format = 1
    name = "square"
    duration = "40 s"
    warm_up = "5 s"
    drain = "60 s"
    seed = 2

    [devices.camera]
    count = 300
    hardware = "cortex-a53"

    [devices.camera.tasks.objects]
    models = ["mobilenetv2"]
    variants = ["int8"]
    arrivals = "poisson"               # each camera at random, on average every 5 s
    every = "5 s"
    deadline = "1 s"
    late = "finish"                    # all are answered, so that all have a latency
    input = "60 kB"                    # assumed: a JPEG frame
    result = "1 kB"

    [nodes.hub]
    kind = "edge"
    hardware = "x86-core"
    servers = 16                       # enough: nobody waits for a processor here

    [links]                            # assumed
    cell = { from = "*", to = "hub", up = "60 Mbit/s", down = "400 Mbit/s", delay = "4 ms" }
    """

    def square(*settings):
        """Check the scenario, with some of its keys replaced."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "square.toml"
            file.write_text(text)
            return offload.load(file, settings)

    mo.md(f"```toml{text}```")
    return (square,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## The formula

    Alone, a picture needs $s = 8 D / B$ seconds of air. All cameras together send $\lambda$ pictures a
    second, at random moments. So the air is in use for the share

    $$\rho = \lambda s$$

    While $n$ transfers are under way, each goes at $B / n$. How many are there? At random moments one
    finds $n$ of them with probability $(1 - \rho)\,\rho^n$, on average

    $$\bar n = \frac{\rho}{1 - \rho}$$

    Who starts to send finds that many others, and takes, from first bit to last, on average

    $$T = s \, (1 + \bar n) = \frac{s}{1 - \rho}$$

    | symbol | meaning | unit |
    |:--|:--|:--|
    | $D$ | bytes of a picture | bytes |
    | $B$ | rate of the cell, if one is alone | bit/s |
    | $s$ | time to send a picture alone | s |
    | $\lambda$ | pictures that all cameras send in a second | 1/s |
    | $\rho$ | utilisation of the cell; the formula holds below 1 | |
    | $\bar n$ | transfers under way, on average | |
    | $T$ | time to send a picture, with all the others there | s |

    (Kleinrock, 1967. That sizes do not matter, only their mean, is a gift of processor sharing; births
    must be at random, and cameras many.) At $\rho = 0.5$ a picture takes twice as long as alone, at 0.9
    ten times, at 0.99 a hundred times. **The last tenth of a cell costs more than the first nine.**
    """)


@app.cell
def _():
    def facts_of(scenario):
        """Return the one task's facts."""
        return scenario.setting(0.0).facts[0]

    def alone_s(facts):
        """Return the air time of a picture: s."""
        cell = facts.cells["cell"]
        return 8 * facts.input_bytes / cell.up_bps

    def sending_s(scenario, replications=3):
        """Return what `edge` measures for sending a picture: an interval over replications."""
        delay_s = facts_of(scenario).cells["cell"].delay_s
        means = []
        for number in range(replications):
            rows = offload.simulate(scenario, "edge", replication=number).rows()
            after = rows.filter(rows["born_s"] >= scenario.file.warm_up)
            means.append(after["uplink_s"].mean() - delay_s)
        return interval(means)

    return alone_s, facts_of, sending_s


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## What a device expects

    A device does not know the future, nor who sends right now. It hears reports: how many devices were
    *active* in the cell a moment ago, $n$. If it joins, there are $n + 1$, so it expects the rate

    $$B_\text{expected} = \frac{B}{n + 1}$$

    In the library that is `Uplink.rate_bps`, and `offload.price_at` prices plans for a device that sees
    it. Move the slider: at how many others does the camera stay at home?
    """)


@app.cell
def _():
    others = mo.ui.slider(0, 40, 1, value=5, label="others who send", show_value=True)
    others
    return (others,)


@app.cell
def _(facts_of, others, square):
    facts = facts_of(square())
    _cell = facts.cells["cell"]

    def expected_s(active):
        """Return what staying and sending are expected to take, with so many others active."""
        up = offload.Uplink("cell", True, _cell.up_bps / (active + 1), _cell.down_bps, 0.0)
        seen = offload.Observation(0.0, 0.0, "cell", {"cell": up}, {}, facts)
        prices = offload.price_at(seen)
        return {p: float(prices.latency_s[prices.at[p]][0]) for p in ("device", "hub")}

    _now = expected_s(others.value)
    most_others = next(n for n in range(1000) if expected_s(n)["hub"] > expected_s(n)["device"])
    mo.md(
        f"With {others.value} others the camera expects {_cell.up_bps / 1e6 / (others.value + 1):.1f}"
        f" Mbit/s, and an answer from the hub after {1e3 * _now['hub']:.0f} ms; its own takes"
        f" {1e3 * _now['device']:.0f} ms. It joins while fewer than {most_others} others send."
    )
    return (facts,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Simulation against the formula

    More and more cameras, and all of them always send (`edge`). The simulation shares the air moment by
    moment: whenever a transfer begins or ends, all others change their pace.
    """)


@app.cell
def _(alone_s, facts, sending_s, square):
    every_s = 5.0
    counts = [60, 150, 240, 330, 420, 500, 560]
    simulated = [sending_s(square(f"devices.camera.count={count}")) for count in counts]
    loads = np.array(counts) / every_s * alone_s(facts)
    mo.ui.table(
        [
            {
                "cameras": count,
                "utilisation": round(load, 3),
                "formula (ms)": round(1e3 * alone_s(facts) / (1 - load), 2),
                "simulated (ms)": round(1e3 * found.mean, 2),
                "95 % interval (ms)": f"{1e3 * found.low:.2f} to {1e3 * found.high:.2f}",
            }
            for count, load, found in zip(counts, loads, simulated, strict=True)
        ],
        selection=None,
    )
    return every_s, loads, simulated


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Why everybody offloading is bad for all

    Now let each camera choose. Say a share $x$ of all pictures is sent, the rest is computed at home,
    which takes $t_d$ and bothers nobody. With $\rho$ the utilisation if *all* were sent and $c$ what
    sending takes besides air (delays, the hub's computing, the way back):

    $$L_\text{send}(x) = \frac{s}{1 - \rho x} + c
      \qquad
      \bar L(x) = x \, L_\text{send}(x) + (1 - x)\, t_d$$

    **Selfish.** As long as sending is quicker than staying, somebody changes their mind and sends. It
    ends where nobody gains by changing (a *Wardrop*, or Nash, equilibrium): $L_\text{send}(x) = t_d$.
    But then all take $t_d$, **as if there were no hub at all**.

    **Together.** Who wants the best mean for all stops earlier, where one more picture sent costs the
    others as much as it gains ($\bar L'(x) = 0$):

    $$x_\text{selfish} = \frac{1}{\rho}\Bigl(1 - \frac{s}{t_d - c}\Bigr)
      \qquad
      x_\text{best} = \frac{1}{\rho}\Bigl(1 - \sqrt{\frac{s}{t_d - c}}\Bigr)
      \qquad
      \text{price of anarchy} = \frac{\bar L(x_\text{selfish})}{\bar L(x_\text{best})}$$

    | symbol | meaning | unit |
    |:--|:--|:--|
    | $x$ | share of pictures that are sent (at most 1: take 1 where a formula says more) | |
    | $t_d$ | what staying takes | s |
    | $c$ | what sending takes besides air | s |
    | $\bar L$ | mean latency of all pictures | s |
    """)


@app.cell
def _():
    everyone = mo.ui.slider(100, 1500, 50, value=750, label="cameras on the square", show_value=True)
    everyone
    return (everyone,)


@app.cell
def _(alone_s, every_s, everyone, facts, square):
    (_variant,) = facts.variants
    _cell = facts.cells["cell"]
    _hub_s = facts.profiles["hub"][_variant].seconds(0, _variant.last)
    besides_s = 2 * _cell.delay_s + _hub_s + 8 * facts.result_bytes[_variant] / _cell.down_bps
    # At home pictures of one camera may wait for each other, rarely: simulated, and nobody is bothered.
    stay_s = offload.simulate(
        square(f"devices.camera.count={everyone.value}"), "local"
    ).measures()["latency_mean_s"]  # fmt: skip
    rho = everyone.value / every_s * alone_s(facts)

    def send_s(share):
        """Return L_send(x); infinite where the cell is full."""
        left = 1 - rho * np.asarray(share, dtype=float)
        return np.where(left > 0, alone_s(facts) / np.where(left > 0, left, 1), np.inf) + besides_s

    def mean_s(share):
        """Return the mean latency of all pictures."""
        share = np.asarray(share, dtype=float)
        return share * send_s(share) + (1 - share) * stay_s

    _ratio = alone_s(facts) / (stay_s - besides_s)
    selfish, best = (float(np.clip((1 - each) / rho, 0, 1)) for each in (_ratio, np.sqrt(_ratio)))
    anarchy = float(mean_s(selfish) / mean_s(best))
    mo.md(
        f"{everyone.value} cameras would use {rho:.2f} times what the cell has. Selfish cameras send"
        f" {selfish:.0%} of the pictures, and take {1e3 * float(mean_s(selfish)):.0f} ms on average;"
        f" the best for all is to send {best:.0%}, which takes {1e3 * float(mean_s(best)):.0f} ms."
        f" The price of anarchy is {anarchy:.2f}."
    )
    return anarchy, besides_s, best, mean_s, rho, selfish, send_s, stay_s


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    A camera that stays does not touch the cell. So what we simulated above also tells what happens if
    only a share $x$ is sent: as many cameras as that share sent, and those that stay are added by their
    mean. And what do policies do that look before they send? `quickest` reads a report each 100 ms and
    takes what is then the quickest; `fresh` knows the cell as it is *now*.
    """)


@app.cell
def _(besides_s, everyone, loads, rho, simulated, square, stay_s):
    shares = loads[loads <= rho] / rho
    by_share = np.array([
        [share * (way + besides_s) + (1 - share) * stay_s for way in (each.low, each.mean, each.high)]
        for share, each in zip(shares, simulated, strict=False)
    ])  # fmt: skip

    def played(policy, replications):
        """Return the mean latency of all pictures, an interval, and the share that was sent."""
        crowd, means, sent = square(f"devices.camera.count={everyone.value}"), [], []
        for number in range(replications):
            rows = offload.simulate(crowd, policy, replication=number).rows()
            after = rows.filter(rows["born_s"] >= crowd.file.warm_up)
            means.append(after["latency_s"].mean())
            sent.append(after["edge"].is_not_null().mean())
        return interval(means), np.mean(sent)

    # To compare like with like, they cut no network in two.
    looking = {name: played(choose({"name": name, "split": False}), 3) for name in ("quickest", "fresh")}
    flooded_s = played("edge", 1)[0].mean
    return by_share, flooded_s, looking, shares


@app.cell
def _(
    alone_s, best, by_share, facts, loads, looking, mean_s, selfish, send_s, shares, simulated,
    square, stay_s,
):  # fmt: skip
    figure, (_cell, _all) = plt.subplots(1, 2, figsize=(10.5, 4.4), layout="constrained")
    _grid = np.linspace(0, 0.97, 200)
    _cell.plot(_grid, 1e3 * alone_s(facts) / (1 - _grid), color="black", label=r"$s / (1 - \rho)$")
    _means = np.array([each.mean for each in simulated])
    _half = np.array([each.high - each.mean for each in simulated])
    _cell.errorbar(
        loads, 1e3 * _means, yerr=1e3 * _half, fmt="o", capsize=3, color=COLOURS[1],
        label="simulated, 95 % interval",
    )  # fmt: skip
    _cell.set(xlabel=r"utilisation of the cell, $\rho$", ylabel="time to send a picture (ms)")
    _cell.set(title="All send: the last tenth is dear", ylim=(0, 1e3 * alone_s(facts) / (1 - 0.955)))
    _cell.legend(frameon=False, fontsize=8, loc="upper left")

    _grid = np.linspace(0, 1, 400)
    _places = ("local", "edge")
    _all.plot(_grid, 1e3 * send_s(_grid), color=colour("edge", _places), label="one that is sent")
    _all.axhline(1e3 * stay_s, color=colour("local", _places), label="one that stays")
    _all.plot(_grid, 1e3 * mean_s(_grid), color="black", linewidth=2, label="mean of all")
    _low, _mean, _high = 1e3 * by_share.T
    _all.errorbar(
        shares, _mean, yerr=[_mean - _low, _high - _mean], fmt="o", capsize=3, color=COLOURS[1],
        label="mean of all, simulated",
    )  # fmt: skip
    for _share, _name, _beside in ((best, "best for all", (0, -16)), (selfish, "selfish", (-24, 8))):
        _at_ms = 1e3 * float(mean_s(_share))
        _all.plot(_share, _at_ms, "*", color="black", markersize=12)
        _all.annotate(
            _name, (_share, _at_ms), xytext=_beside, textcoords="offset points", ha="center", fontsize=8
        )
    for _policy, (_found, _share) in looking.items():
        _all.errorbar(
            _share, 1e3 * _found.mean, yerr=1e3 * (_found.high - _found.mean), fmt="d", capsize=3,
            color=colour(_policy, tuple(looking)), label=_policy,
        )  # fmt: skip
    _all.set(xlabel="share of pictures that are sent", ylabel="latency (ms)", xlim=(0, 1))
    _all.set(ylim=(0, 1.6e3 * stay_s), title="Each chooses: good for one is not good for all")
    _all.legend(frameon=False, fontsize=8, loc="upper left")
    figure.supxlabel(f"{square().known}; rates and delays assumed.", fontsize=7, color="#555555")
    figure
    return


@app.cell(hide_code=True)
def _(anarchy, best, flooded_s, looking, mean_s):
    _fresh, _quickest = (1e3 * looking[name][0].mean for name in ("fresh", "quickest"))
    mo.md(f"""
    **What to notice** (with the sliders as they were at first).

    - Formula and simulation agree within what chance lets three short runs tell. The fuller a cell, the
      longer it remembers a busy moment, and the longer one has to simulate.
    - If *all* send (`edge`), the cell never catches up: {flooded_s:.1f} s on average in this run, and
      the longer the run, the more.
    - The star *selfish* lies on the line of those who stay: the hub has helped nobody. With fewer
      senders the mean would be {anarchy:.2f} times as small; but then each of those who stay would gain
      by sending, and does. That is why cells have schedulers, prices and admission.
    - Policies that look are selfish too, and do better than that star, `fresh` {_fresh:.0f} and
      `quickest` {_quickest:.0f} ms: they send when few others do. Yet cameras that know nothing, and of
      which just the right share sends, would take {1e3 * float(mean_s(best)):.0f} ms. What old reports
      do is lesson 7.
    """)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Exercises

    Think first, then open.
    """)


@app.cell
def _(alone_s, best, every_s, facts, rho, sending_s, square):
    _twice = 0.5 / alone_s(facts) * every_s
    _load = 500 / every_s * alone_s(facts)
    _before, _after = alone_s(facts) / (1 - _load), alone_s(facts) / 2 / (1 - _load / 2)
    _found = sending_s(square("devices.camera.count=500", "devices.camera.tasks.objects.input=30 kB"))
    _left = 1 - rho * best
    _toll_s = alone_s(facts) / _left**2 - alone_s(facts) / _left

    exercises = [
        (
            "How many cameras of this kind may send until a picture takes twice as long as alone?",
            rf"$1 / (1 - \rho) = 2$ at $\rho = 0.5$: {_twice:.0f} cameras, each every {every_s:g} s. The"
            " cell is then idle half of the time, and still feels half as fast.",
        ),
        (
            "500 cameras send. Somebody packs the pictures into half of their bytes. How many times as"
            " quickly are they sent?",
            f"Not twice: $s$ halves, and so does the utilisation, from {_load:.1f} to {_load / 2:.1f}."
            f" From {1e3 * _before:.0f} ms to {1e3 * _after:.1f} ms is {_before / _after:.0f} times"
            f" as quick. (Simulated: {1e3 * _found.mean:.1f} ms.) Whoever sends less makes room for"
            " all.",
        ),
        (
            "A toll, in seconds, is added to what each selfish camera counts for sending. How large must"
            " it be, so that they choose what is best for all? (A sender should feel what"
            " sending costs all others.)",
            rf"Others lose $x \, L'_\text{{send}} = s \rho x / (1 - \rho x)^2$, which is"
            f" {1e3 * _toll_s:.0f} ms here, against {1e3 * alone_s(facts):.0f} ms of air that the"
            " picture itself needs. Economists call it a Pigouvian tax: most of the"
            " cost of sending is borne by others.",
        ),
    ]
    mo.accordion(dict(exercises))
    return


if __name__ == "__main__":
    app.run()
