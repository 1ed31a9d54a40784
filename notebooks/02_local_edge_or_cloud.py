"""Lesson 2: when sending a picture away is worth it, and how far: device, edge or cloud."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="2. Local, edge or cloud?")

with app.setup:
    import tempfile
    from pathlib import Path

    import marimo as mo
    import numpy as np
    from matplotlib import pyplot as plt
    from matplotlib.colors import ListedColormap

    import offload
    from offload.planning.price import unloaded
    from offload.views.palette import colour
    from offload.world.wires import WAN_S_PER_M, round_trip_s

    PLACES = ("local", "edge", "cloud")


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # 2. Local, edge or cloud?

    A doorbell with a camera wants to know who stands before it. Three machines can tell:

    - the doorbell itself (**local**): slow, but the picture is already there;
    - a hub in the house (**edge**): quicker, behind a radio cell;
    - a data centre (**cloud**): quickest, behind the cell *and* a long way of wires.

    Whoever sends pays for the way, to save on computing. So two questions decide: how quickly do bits
    leave the doorbell (the **bandwidth** of the cell), and how long is the way there and back even for
    a single bit (the **round trip**)?
    """)


@app.cell
def _():
    text = """
    format = 1
    name = "doorbell"
    duration = "60 s"
    warm_up = "5 s"

    [devices.doorbell]
    count = 1
    hardware = "cortex-a53"

    [devices.doorbell.tasks.visitor]
    models = ["mobilenetv2"]
    variants = ["int8"]
    every = "1 s"
    deadline = "1 s"
    input = "60 kB"                    # assumed: a JPEG frame
    result = "1 kB"                    # assumed: labels with scores

    [nodes.hub]
    kind = "edge"
    hardware = "coral-desktop-cpu"

    [nodes.region]
    kind = "cloud"
    hardware = "x86-core"

    [links]                            # rates and delays are assumed
    wifi = { from = "*", to = "hub", up = "20 Mbit/s", down = "80 Mbit/s", delay = "3 ms" }
    backhaul = { from = "hub", to = "region", rate = "1 Gbit/s", delay = "15 ms" }
    """

    def doorbell(*settings):
        """Check the scenario, with some of its keys replaced."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "doorbell.toml"
            file.write_text(text)
            return offload.load(file, settings)

    mo.md(f"```toml{text}```")
    return (doorbell,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## The formula

    A message of $D$ bytes needs $8 D / B$ seconds to be pushed into a link of $B$ bit/s, and then the
    delay of the link until its last bit arrives. So

    $$
    \begin{aligned}
    L_\text{local} &= t_d \\
    L_\text{edge} &= \frac{8 D}{B} + \tau + t_e + \frac{8 R}{B'} \\
    L_\text{cloud} &= \frac{8 D}{B} + \tau +
    \Bigl(\frac{8 D}{W} + \tau_w + \frac{8 R}{W}\Bigr) + t_c + \frac{8 R}{B'}
    \end{aligned}
    $$

    | symbol | meaning | unit |
    |:--|:--|:--|
    | $t_d, t_e, t_c$ | what the network takes on the device, at the edge, in the cloud | s |
    | $D$, $R$ | the picture, and the result | bytes |
    | $B$, $B'$ | rates of the cell, up and down | bit/s |
    | $\tau$ | round trip over the cell: twice its delay | s |
    | $W$, $\tau_w$ | rate of the wires to the cloud, and their round trip | bit/s, s |

    Sending is worth it when $L_\text{edge} < L_\text{local}$. Solve for $B$, and you have the
    **break-even bandwidth** (Kumar and Lu asked the same of energy, IEEE Computer 2010):

    $$B^* = \frac{8 D}{t_d - t_e - \tau - 8 R / B'}$$

    If the denominator is not positive, no bandwidth in the world helps: the way alone takes longer
    than what is saved.
    """)


@app.cell
def _():
    def latencies_s(facts, up_bps, wire_delay_s=None):
        """Return the formula's three latencies for a rate up the cell; arrays will do, too."""
        (variant,) = facts.variants
        whole_s = {place: p[variant].seconds(0, variant.last) for place, p in facts.profiles.items()}
        cell, wire = facts.cells["wifi"], facts.wires["backhaul"]
        result = facts.result_bytes[variant]
        wire_s = wire.delay_s if wire_delay_s is None else wire_delay_s
        way_s = 8 * facts.input_bytes / up_bps + 2 * cell.delay_s + 8 * result / cell.down_bps
        wires_s = 8 * (facts.input_bytes + result) / wire.rate_bps + 2 * wire_s
        return {
            "local": whole_s["device"] + 0 * way_s,
            "edge": way_s + whole_s["hub"],
            "cloud": way_s + wires_s + whole_s["region"],
        }

    def break_even_bps(facts, place):
        """Return the bandwidth from which a place is quicker than the device; None if none is."""
        alone = latencies_s(facts, np.inf)  # the way without the sending
        saved_s = alone["local"] - alone[place]
        return 8 * facts.input_bytes / saved_s if saved_s > 0 else None

    return break_even_bps, latencies_s


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## The library

    `offload` does not use these formulas; it follows each **plan** leg by leg, so that it may also
    count queues, losses and many hops. `unloaded(facts, cell)` prices all plans open to a device if
    nobody else is there. Do the two agree? Here are formula and library side by side.
    """)


@app.cell
def _(break_even_bps, doorbell, latencies_s):
    facts = doorbell().setting(0.0).facts[0]  # what is known of the task: costs, links, limits

    def library_s(facts, place):
        """Return what the library says of the whole network at a place."""
        prices = unloaded(facts, "wifi")
        return float(prices.latency_s[prices.at[place]][0])

    _formula = latencies_s(facts, facts.cells["wifi"].up_bps)
    _nodes = zip(PLACES, ("device", "hub", "region"), strict=True)
    mo.ui.table(
        [
            {
                "place": place,
                "by formula (ms)": round(1e3 * float(_formula[place]), 3),
                "by the library (ms)": round(1e3 * library_s(facts, node), 3),
                "break-even (Mbit/s)": "-"
                if place == "local"
                else round(break_even_bps(facts, place) / 1e6, 2),
            }
            for place, node in _nodes
        ],
        selection=None,
    )
    return facts, library_s


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    And a simulation? It draws each request's luck: a network does not take the same time in each run.
    So means agree with the formula, single requests do not. Nobody queues here; that is lessons 5
    and 6.
    """)


@app.cell
def _(doorbell, facts, latencies_s):
    _formula = latencies_s(facts, facts.cells["wifi"].up_bps)
    _told = []
    for _place in PLACES:
        _ms = 1e3 * offload.simulate(doorbell(), _place).rows()["latency_s"].to_numpy()
        _told.append({
            "policy": _place,
            "formula (ms)": round(1e3 * float(_formula[_place]), 1),
            "mean of 60 requests (ms)": round(_ms.mean(), 1),
            "quickest (ms)": round(_ms.min(), 1),
            "slowest (ms)": round(_ms.max(), 1),
        })  # fmt: skip
    mo.ui.table(_told, selection=None)
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Turn the knobs

    Move a slider and see the lines and the map change. The map says who answers first for every
    bandwidth and every round trip to the cloud.
    """)


@app.cell
def _():
    frame_kb = mo.ui.slider(5, 200, 5, value=60, label="picture (kB)", show_value=True)
    cell_ms = mo.ui.slider(0, 60, 2, value=6, label="round trip over the cell (ms)", show_value=True)
    wires_ms = mo.ui.slider(2, 150, 2, value=30, label="round trip of the wires (ms)", show_value=True)
    model = mo.ui.dropdown(["mobilenetv2", "resnet18", "resnet50"], "mobilenetv2", label="network")
    mo.hstack([frame_kb, cell_ms, wires_ms, model], wrap=True, justify="start")
    return cell_ms, frame_kb, model, wires_ms


@app.cell
def _(cell_ms, doorbell, frame_kb, model, wires_ms):
    turned = doorbell(
        f"devices.doorbell.tasks.visitor.input={frame_kb.value} kB",
        f"devices.doorbell.tasks.visitor.models=['{model.value}']",
        f"links.wifi.delay={cell_ms.value / 2} ms",
        f"links.backhaul.delay={wires_ms.value / 2} ms",
    )
    return (turned,)


@app.cell
def _(break_even_bps, latencies_s, turned, wires_ms):
    _facts = turned.setting(0.0).facts[0]
    _rates = np.geomspace(0.5e6, 200e6, 200)
    figure, (_lines, _map) = plt.subplots(1, 2, figsize=(10.5, 4.2), layout="constrained")
    for _place, _seconds in latencies_s(_facts, _rates).items():
        _lines.plot(_rates / 1e6, 1e3 * _seconds, color=colour(_place, PLACES), label=_place)
    _most_ms = 3e3 * float(latencies_s(_facts, 1.0)["local"])
    for _place in PLACES[1:]:
        _even = break_even_bps(_facts, _place)
        if _even is not None and _rates[0] < _even < _rates[-1]:
            _at_ms = 1e3 * float(latencies_s(_facts, _even)[_place])
            _lines.plot(_even / 1e6, _at_ms, "o", color=colour(_place, PLACES))
            _beside = {"edge": (6, 6, "left"), "cloud": (-6, -12, "right")}[_place]
            _lines.annotate(
                f"{_even / 1e6:.3g} Mbit/s", (_even / 1e6, _at_ms), xytext=_beside[:2], ha=_beside[2],
                textcoords="offset points", fontsize=8,
            )  # fmt: skip
    _lines.set(xscale="log", xlabel="bandwidth up (Mbit/s)", ylabel="latency (ms)")
    _lines.set(xlim=(0.5, 200), ylim=(0, _most_ms), title="Break-even: where a line crosses local")
    _lines.legend(frameon=False, fontsize=8)

    _trips = np.linspace(0, 0.15, 120)
    _all = latencies_s(_facts, _rates[None, :], _trips[:, None] / 2)
    _all = np.stack([np.broadcast_to(_all[place], (len(_trips), len(_rates))) for place in PLACES])
    _map.pcolormesh(
        _rates / 1e6, 1e3 * _trips, _all.argmin(axis=0), vmin=-0.5, vmax=2.5, shading="auto",
        cmap=ListedColormap([colour(place, PLACES) for place in PLACES]), rasterized=True,
    )  # fmt: skip
    for _number, _place in enumerate(PLACES):
        _rows, _columns = np.nonzero(_all.argmin(axis=0) == _number)
        if len(_rows) > 400:  # room for a word
            _where = np.exp(np.log(_rates[_columns]).mean()) / 1e6, 1e3 * _trips[_rows].mean()
            _box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 2}
            _map.annotate(_place, _where, ha="center", va="center", bbox=_box)
    _map.axhline(wires_ms.value, color="white", linestyle=":", linewidth=1)
    _map.set(xscale="log", xlabel="bandwidth up (Mbit/s)", ylabel="round trip of the wires (ms)")
    _map.set(title="Who answers first (dotted: the slider)")
    for _axes in (_lines, _map):
        _axes.set_xticks([1, 3, 10, 30, 100], ["1", "3", "10", "30", "100"])
        _axes.minorticks_off()
    figure.supxlabel(f"{turned.known}; rates and delays assumed.", fontsize=7, color="#555555")
    figure
    return


@app.cell(hide_code=True)
def _(break_even_bps, facts, latencies_s):
    _alone = latencies_s(facts, np.inf)
    _gap_s = float(_alone["edge"] - _alone["cloud"])
    mo.md(f"""
    **What to notice** (with the sliders as they were at first).

    - Below {break_even_bps(facts, "cloud") / 1e6:.1f} Mbit/s nothing beats the slow device: the
      picture is not through in time. Twice the bandwidth halves the sending, but never the rest; far
      to the right the lines are flat, and bandwidth buys nothing more.
    - Edge or cloud is *not* a question of bandwidth. The picture crosses the cell either way. What
      decides is whether the cloud computes quicker by more than the wires take: here it gains
      {1e3 * _gap_s:.0f} ms net. In the map the border between them is a horizontal line.
    - A "near" machine that is slow can lose against a "far" one that is quick. How near it is counts
      in milliseconds. (Wires take about {1e3 * round_trip_s(1e5):.1f} ms for 100 km and back.)
    """)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Exercises

    Think first, then open.
    """)


@app.cell
def _(break_even_bps, doorbell, facts, latencies_s, library_s):
    _heavy = doorbell("devices.doorbell.tasks.visitor.models=['resnet50']").setting(0.0).facts[0]
    _evens = [break_even_bps(each, "cloud") / 1e6 for each in (facts, _heavy)]
    _flops = [sum(layer.flops for layer in each.variants[0].layers) for each in (facts, _heavy)]
    _times = _flops[1] / _flops[0]
    _locals = [1e3 * library_s(each, "device") for each in (facts, _heavy)]

    _alone = latencies_s(facts, np.inf)
    _never_s = float(_alone["local"] - _alone["cloud"]) + 2 * facts.wires["backhaul"].delay_s

    _at_20 = latencies_s(facts, 20e6)
    (_variant,) = facts.variants
    _hub_s = facts.profiles["hub"][_variant].seconds(0, _variant.last)
    _quicker = _hub_s / (_hub_s - float(_at_20["edge"] - _at_20["cloud"]))

    exercises = [
        (
            f"ResNet-50 multiplies {_times:.0f} times as often as MobileNetV2. Does the doorbell need"
            " more or less bandwidth before sending is worth it?",
            f"Less: it breaks even at {_evens[1]:.2f} Mbit/s instead of {_evens[0]:.2f}. The picture is"
            f" the same, but staying takes {_locals[1]:.0f} ms instead of {_locals[0]:.0f}, so there is"
            " more to be saved. What is worth sending is much computing on few bytes.",
        ),
        (
            "How long must the round trip of the wires be, so that no bandwidth makes the cloud quicker"
            " than the doorbell?",
            "The denominator of the break-even must reach zero: the round trip eats all that computing"
            f" elsewhere saves, {1e3 * _never_s:.0f} ms here. At {1e6 * WAN_S_PER_M.value * 1e3:.0f}"
            f" microseconds a kilometre (there and back) that is"
            f" {_never_s / WAN_S_PER_M.value / 1e3:,.0f} km, about the width of North America.",
        ),
        (
            "At 20 Mbit/s, how many times as fast must the hub become, so that the cloud is no longer"
            " worth the way?",
            f"It must save the {1e3 * float(_at_20['edge'] - _at_20['cloud']):.1f} ms by which the cloud"
            f" is ahead: instead of {1e3 * _hub_s:.0f} ms it may take"
            f" {1e3 * _hub_s / _quicker:.1f}, so it must be {_quicker:.1f} times as fast. At any other"
            " bandwidth it is the same: the cell cancels out.",
        ),
    ]
    mo.accordion(dict(exercises))
    return


if __name__ == "__main__":
    app.run()
