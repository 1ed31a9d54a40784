"""Lesson 4: a smaller network at home or the whole one elsewhere, and the measure that decides."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="4. Compress or offload?")

with app.setup:
    import csv
    import tempfile
    from pathlib import Path

    import marimo as mo
    import numpy as np
    from matplotlib import pyplot as plt

    import offload
    from offload.planning.price import unloaded
    from offload.policies.table import choose
    from offload.shipped import DATA
    from offload.views.palette import COLOURS

    FORMS = ("fp32", "int8", "pruned-50", "pruned-75", "separable", "sparse-80")


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # 4. Compress or offload?

    A gateway on a production line looks at parts that come by, and must say what each is before it
    reaches the ejector. Its processor is slow. There are two ways out:

    - **offload**: send the picture to a quicker machine, which runs the network as it is;
    - **compress**: run a smaller *form* of the network at home, which is quicker, and may be wrong more
      often.

    So far we compared times. A form that answers sooner but is wrong is not better, nor is one that is
    right too late. We need a measure that counts both.

    ## Useful

    An answer is **useful** if it is right *and* there in time:

    $$U = \Pr(\text{right and } L \le d)
        \;\approx\; a_v \cdot \Pr(L \le d)$$

    | symbol | meaning | unit |
    |:--|:--|:--|
    | $L$ | latency of a request (infinite if it is never answered) | s |
    | $d$ | deadline: later answers are worth nothing | s |
    | $a_v$ | accuracy of form $v$: its share of right answers | |
    | $U$ | share of all requests that got a right answer in time | |

    The second step takes being right and being late for independent. They are here: all pictures have
    the same size, and take the same time whether or not they are easy.

    ## The forms

    `fashion-cnn` is a small network that was trained for this library, on Fashion-MNIST (pictures of
    clothes; they stand in for parts). All of this table was **measured**: seconds on `x86-core`, answers
    on 2 000 test images, bytes of the files of weights.
    """)


@app.cell
def _():
    text = """
    format = 1
    name = "gateway"
    duration = "6 s"
    warm_up = "1 s"
    seed = 3

    [devices.gateway]
    count = 1
    hardware = "x86-core"
    frequency = 0.1                    # assumed: a tenth of the measured core's clock

    [devices.gateway.tasks.parts]
    models = ["fashion-cnn"]
    variants = ["fp32", "int8", "pruned-50", "pruned-75", "separable", "sparse-80"]
    arrivals = "poisson"               # parts come by at random
    every = "10 ms"
    deadline = "25 ms"                 # assumed: until the ejector
    input = "784 B"                    # 28 x 28 pixels of a byte
    result = "40 B"                    # ten classes and how likely each is

    [nodes.cabinet]
    kind = "edge"
    hardware = "x86-core"
    servers = 2
    reports = { every = "5 ms" }       # assumed

    [links]                            # assumed: a slow radio in a hall of metal
    cell = { from = "*", to = "cabinet", up = "1.5 Mbit/s", down = "8 Mbit/s", delay = "1 ms" }
    """

    def gateway(*settings):
        """Check the scenario, with some of its keys replaced."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "gateway.toml"
            file.write_text(text)
            return offload.load(file, settings)

    mo.accordion({"The scenario": f"```toml{text}```"})
    return (gateway,)


@app.cell
def _(gateway):
    with (DATA / "fashion-cnn.csv").open() as _file:
        weights_bytes = {
            row["variant"]: int(row["size_bytes"])
            for row in csv.DictReader(_file)
            if row["task"] == "10 classes" and not row["leave_at"]
        }
    facts = gateway().setting(0.0).facts[0]
    forms = {variant.name: variant for variant in facts.variants}
    # The cabinet has the machine that was measured; the gateway's is assumed to be ten times as slow.
    measured_s = {
        name: facts.profiles["cabinet"][variant].seconds(0, variant.last)
        for name, variant in forms.items()
    }
    mo.ui.table(
        [
            {
                "form": name,
                "right answers": f"{forms[name].accuracy.value:.1%}",
                "on x86-core (ms)": round(1e3 * measured_s[name], 3),
                "weights (kB)": round(weights_bytes[name] / 1e3),
                "million multiply-adds": round(
                    sum(layer.flops for layer in forms[name].layers if layer.parameters) / 2e6, 1
                ),
            }
            for name in FORMS
        ],
        selection=None,
    )
    return facts, forms, measured_s, weights_bytes


@app.cell(hide_code=True)
def _(facts, forms, measured_s):
    _images = 2000
    _share = forms["fp32"].accuracy.value
    _half = 1.96 * np.sqrt(_share * (1 - _share) / _images)
    _profile = facts.profiles["cabinet"][forms["fp32"]]
    mo.md(f"""
    - `int8` computes with whole numbers of 8 bits:
      {measured_s["fp32"] / measured_s["int8"]:.1f} times as fast here, and as often right as far as
      {_images} images can tell (a share like {_share:.1%} of them is known to about
      ±{100 * _half:.1f} points).
    - `pruned-50` and `pruned-75` have lost half and three quarters of their channels, and were trained
      on.
    - `separable` has a sixth of the multiplications and is *not* faster here: operations are not
      seconds (lesson 1).
    - `sparse-80` has 80 % of its weights set to zero. The file is smaller; the processor multiplies by
      zero all the same.

    How it is known: {_profile.known}, on {_profile.source}; right answers:
    {forms["fp32"].accuracy.known}, {forms["fp32"].accuracy.source}.

    ## One request alone

    While nobody waits, latency is what lesson 2 says, and each form at each place either makes the
    deadline or does not. So the most useful choice is the most accurate one *left of the deadline*.
    """)


@app.cell
def _():
    deadline_ms = mo.ui.slider(2, 40, 0.5, value=25, label="deadline (ms)", show_value=True)
    clock = mo.ui.slider(0.05, 1.0, 0.05, value=0.1, label="gateway's clock (share)", show_value=True)
    up_mbps = mo.ui.slider(0.5, 20, 0.5, value=1.5, label="rate up (Mbit/s)", show_value=True)
    mo.hstack([deadline_ms, clock, up_mbps], wrap=True, justify="start")
    return clock, deadline_ms, up_mbps


@app.cell
def _(clock, deadline_ms, gateway, up_mbps):
    turned = (
        f"devices.gateway.frequency={clock.value}",
        f"devices.gateway.tasks.parts.deadline={deadline_ms.value} ms",
        f"links.cell.up={up_mbps.value} Mbit/s",
    )
    scenario = gateway(*turned)
    return scenario, turned


@app.cell
def _(deadline_ms, scenario):
    def menu(facts):
        """Return latency (s) and accuracy of each form at each place, if nobody else is there."""
        prices = unloaded(facts, "cell")
        columns = prices.latency_s.tolist(), prices.accuracy.tolist(), prices.unsplit
        whole = [
            ("gateway" if plan.device_cut else "cabinet", plan.variant.name, seconds, right)
            for plan, seconds, right, one_place in zip(prices.plans, *columns, strict=True)
            if one_place
        ]
        return sorted(whole, key=lambda row: (row[0], FORMS.index(row[1])))

    def best_within(choices, deadline_s):
        """Say which choice is the most accurate of those in time."""
        in_time = [row for row in choices if row[2] <= deadline_s]
        if not in_time:
            return "nothing is in time"
        place, form, seconds, right = max(in_time, key=lambda row: (row[3], -row[2]))
        return f"`{form}` at the {place}, after {1e3 * seconds:.1f} ms, right {right:.1%} of the time"

    choices = menu(scenario.setting(0.0).facts[0])
    _rows = [
        f"| {ms:g} | {best_within(choices, ms / 1e3)} |" for ms in (2, 3.2, 5, 8, deadline_ms.value)
    ]
    mo.md(
        "\n".join(["| deadline (ms) | the most accurate in time |", "|:--|:--|", *_rows])
        + "\n\n(Differences of a few tenths of a point are within what 2 000 images can tell: `fp32` and"
        " `int8` are as good as each other. So making this network `int8` costs nothing, and is the"
        " first thing to do.)"
    )
    return choices, menu


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Many requests

    A gateway serves one part after the other. If parts come at a rate of $\lambda$ a second and each
    takes $t_v$, its processor is busy for the share

    $$\rho = \lambda \, t_v$$

    | symbol | meaning | unit |
    |:--|:--|:--|
    | $\lambda$ | parts a second | 1/s |
    | $t_v$ | what form $v$ takes on the gateway | s |
    | $\rho$ | utilisation; at 1 the processor is never idle, beyond it work piles up | |

    So a form can serve $1 / t_v$ parts a second at most, however patient they are. The cell has such a
    limit too: $B / (8 D)$ pictures a second. What is waited for too long is late, and late is not
    useful. Here the library plays it: four policies that always do the same, and `on-time`, which
    takes for each part the most accurate choice that is still expected to be in time, anywhere.
    """)


@app.cell
def _(gateway, turned):
    policies = {
        "fp32 at the cabinet": choose({"name": "edge", "variant": "fp32"}),
        "fp32 on the gateway": choose({"name": "local", "variant": "fp32"}),
        "int8 on the gateway": choose({"name": "local", "variant": "int8"}),
        "pruned-75 on the gateway": choose({"name": "local", "variant": "pruned-75"}),
        "on-time, of all": choose({"name": "on-time", "margin": "3 ms"}),
    }
    rates_hz = np.array([50, 100, 150, 200, 250, 300, 400, 500])
    measures = {label: [] for label in policies}
    for _rate in rates_hz:
        _scenario = gateway(
            *turned,
            f"devices.gateway.tasks.parts.every={1e3 / _rate:.4f} ms",
            f"duration={1 + 2500 / _rate} s",  # as many parts at each rate
        )
        for _label, _policy in policies.items():
            measures[_label].append(offload.simulate(_scenario, _policy).measures())
    return measures, rates_hz


@app.cell
def _(choices, deadline_ms, measures, rates_hz, scenario):
    figure, (_menu, _load) = plt.subplots(1, 2, figsize=(10.5, 4.4), layout="constrained")
    for _where, _form, _seconds, _right in choices:
        _menu.plot(
            1e3 * _seconds, 100 * _right, "o" if _where == "gateway" else "s",
            color=COLOURS[FORMS.index(_form)], markersize=5 if _form == "sparse-80" else 9,
        )  # fmt: skip
    for _number, _form in enumerate(FORMS):
        _menu.plot([], [], "D", color=COLOURS[_number], label=_form)
    _menu.plot([], [], "o", color="white", markeredgecolor="black", label="on the gateway")
    _menu.plot([], [], "s", color="white", markeredgecolor="black", label="at the cabinet")
    _menu.axvline(deadline_ms.value, color="black", linestyle=":", linewidth=1)
    _menu.annotate("deadline ", (deadline_ms.value, 86.9), fontsize=8, ha="right")
    _menu.set(xlabel="latency of one request alone (ms)", ylabel="right answers (%)")
    _menu.set(title="The menu", xscale="log", ylim=(86.8, 92.6))
    _menu.set_xticks([1, 2, 3, 5, 10, 20, 30], ["1", "2", "3", "5", "10", "20", "30"])
    _menu.minorticks_off()
    _ms = [1e3 * row[2] for row in choices] + [deadline_ms.value]
    _menu.set_xlim(0.8 * min(_ms), 1.2 * max(_ms))
    _menu.legend(frameon=False, fontsize=7.5, loc="center", bbox_to_anchor=(0.68, 0.45))

    _styles = {
        "fp32 at the cabinet": (COLOURS[0], "s--"),
        "fp32 on the gateway": (COLOURS[0], "o-"),
        "int8 on the gateway": (COLOURS[1], "o-"),
        "pruned-75 on the gateway": (COLOURS[3], "o-"),
        "on-time, of all": ("black", "d-"),
    }
    for _label, (_colour, _style) in _styles.items():
        _useful = [100 * each["useful"] for each in measures[_label]]
        _load.plot(rates_hz, _useful, _style, color=_colour, markersize=4, label=_label)
    _load.set(xlabel="parts a second", ylabel="useful (% of all parts)", ylim=(0, 100))
    _load.set(title="What is useful as parts come faster")
    _load.legend(frameon=False, fontsize=7.5, loc="lower left")
    figure.supxlabel(
        f"{scenario.known}; rates and deadline assumed.",
        fontsize=7, color="#555555",
    )  # fmt: skip
    figure
    return


@app.cell(hide_code=True)
def _(facts, forms):
    _device = facts.profiles["device"]
    _limits = {
        name: 1 / _device[forms[name]].seconds(0, forms[name].last)
        for name in ("fp32", "int8", "pruned-75")
    }
    _cell_hz = facts.cells["cell"].up_bps / 8 / facts.input_bytes
    mo.md(f"""
    **What to notice** (with the sliders as they were at first).

    - While parts come slowly all choices are in time, and useful is just accuracy: the network that was
      pruned hardest is last.
    - Then one after the other falls off its cliff, near its limit: `fp32` on the gateway
      {_limits["fp32"]:.0f} parts a second, the cell {_cell_hz:.0f}, `int8` {_limits["int8"]:.0f},
      `pruned-75` {_limits["pruned-75"]:.0f}. The least accurate of them is the most useful one when all
      others are too slow.
    - `useful` falls before the limit is reached: parts come at random, sometimes three at once, and the
      third waits too long. (Lesson 6 says how long.)
    - Compress *or* offload was the wrong question. `on-time` uses both machines and all forms: it goes
      on when each choice by itself has failed.
    """)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Exercises

    Think first, then open.
    """)


@app.cell
def _(facts, forms, gateway, measured_s, menu, weights_bytes):
    _even = forms["pruned-75"].accuracy.value / forms["fp32"].accuracy.value
    _profiles = facts.profiles["device"]
    _gateway_s = {name: _profiles[forms[name]].seconds(0, forms[name].last) for name in FORMS}

    _full = menu(gateway("devices.gateway.frequency=1.0").setting(0.0).facts[0])
    _least = {
        place: min((row for row in _full if row[0] == place), key=lambda row: row[2])
        for place in ("gateway", "cabinet")
    }
    _fetch_s = {name: 8 * weights_bytes[name] / facts.cells["cell"].up_bps for name in FORMS}

    exercises = [
        (
            "Say pruned-75 is in time for all parts. What share of parts must fp32 answer in time to be"
            " as useful? And up to which rate could the gateway serve them at all, with either?",
            f"$a_v$ times the share in time must be equal: {forms['pruned-75'].accuracy.value:.3f} /"
            f" {forms['fp32'].accuracy.value:.3f} = {_even:.1%}. So `fp32` may be late for no more than"
            f" {1 - _even:.1%} of the parts. The limits are 1 / {1e3 * _gateway_s['fp32']:.2f} ms ="
            f" {1 / _gateway_s['fp32']:.0f} and {1 / _gateway_s['pruned-75']:.0f} parts a second.",
        ),
        (
            "Give the gateway the full clock (1.0), with the cell as it is. Does offloading still win"
            " for a part that comes alone?",
            f"No. The quickest at home is `{_least['gateway'][1]}` after"
            f" {1e3 * _least['gateway'][2]:.2f} ms; over the cell no form needs less than"
            f" {1e3 * _least['cabinet'][2]:.2f} ms, most of it on the way. Who has the same machine at"
            " home gains nothing by sending, but a second machine when the first is busy.",
        ),
        (
            "A new version of the weights must reach a gateway over a link as fast as the cell up. How"
            " long does that take for each form? What is sparse-80 good for, then?",
            "; ".join(f"`{name}` {seconds:.1f} s" for name, seconds in _fetch_s.items())
            + f". `sparse-80` takes {measured_s['sparse-80'] / measured_s['fp32']:.2f} times as long as"
            " `fp32` to run, so it saves no time; but its file is"
            f" {weights_bytes['fp32'] / weights_bytes['sparse-80']:.1f} times as small. Compression may"
            " save seconds, bytes or both, and one must know which is short.",
        ),
    ]
    mo.accordion(dict(exercises))
    return


if __name__ == "__main__":
    app.run()
