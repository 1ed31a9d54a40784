"""Lesson 3: cutting a network in two, what crosses each cut, and why the middle so rarely wins."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="3. Where to cut?")

with app.setup:
    import csv
    import tempfile
    from pathlib import Path

    import marimo as mo
    import numpy as np
    from matplotlib import pyplot as plt

    import offload
    from offload.planning.cost import crossing
    from offload.planning.price import unloaded
    from offload.scenario.catalogue import Catalogue
    from offload.shipped import DATA
    from offload.views.palette import COLOURS, colour

    RATES_BPS = np.geomspace(0.02e6, 1e9, 500)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # 3. Where to cut?

    A network is a list of layers, so it can be **cut**: the camera runs the first layers, sends what
    comes out of them, and the hub runs the rest. Cutting before the first layer sends the picture
    itself (*edge*). Cutting after the last sends nothing (*local*). In between there is a cut after
    each layer. Where is the best one?

    It sounds as if the middle should win: share the work! Let us see why it so rarely does, and when
    it does.
    """)


@app.cell
def _():
    text = """
    format = 1
    name = "one-cut"
    duration = "20 s"

    [devices.camera]
    count = 1
    hardware = "cortex-a53"

    [devices.camera.tasks.objects]
    models = ["mobilenetv2"]
    variants = ["int8"]
    every = "1 s"
    deadline = "1 s"
    input = "60 kB"                    # assumed: a JPEG frame
    result = "1 kB"

    [nodes.hub]
    kind = "edge"
    hardware = "x86-core"

    [links]                            # rates and delays are assumed
    cell = { from = "*", to = "hub", up = "10 Mbit/s", down = "80 Mbit/s", delay = "5 ms" }
    """

    def camera(*settings):
        """Check the scenario, with some of its keys replaced."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "one-cut.toml"
            file.write_text(text)
            return offload.load(file, settings)

    mo.md(f"```toml{text}```")
    return (camera,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## The formula

    Cut $k$ lies behind $k$ layers. With a rate of $B$ bit/s the answer is there after

    $$
    L_k(B) = \underbrace{\sum_{i \le k} t^d_i}_{\text{before the cut}} +
    \underbrace{\frac{8 D_k}{B} + \tau}_{\text{the way}} +
    \underbrace{\sum_{i > k} t^e_i}_{\text{behind it}}
    \qquad\text{and}\qquad k^* = \arg\min_k L_k(B)
    $$

    | symbol | meaning | unit |
    |:--|:--|:--|
    | $t^d_i$, $t^e_i$ | what layer $i$ takes on the device, and at the edge | s |
    | $D_k$ | bytes that cross cut $k$: all values that later layers need. $D_0$ is the picture | bytes |
    | $B$ | rate up the cell | bit/s |
    | $\tau$ | delays of the way, and the result's way back; not there for the last cut | s |
    | $k^*$ | the best cut | |

    This is how Neurosurgeon chooses (Kang and others, ASPLOS 2017). Look at it as a function of
    $x = 1 / B$, the seconds a bit takes: each cut is a **straight line**, with slope $8 D_k$. The best
    latency is the lowest of all lines, their *lower envelope*. As the rate falls we walk along it to
    lines that are less steep: to cuts with fewer bytes. So a cut that sends more bytes than an earlier
    one *and* leaves more work to the slow device can never be best, at any rate.
    """)


@app.cell
def _():
    network = mo.ui.dropdown(["mobilenetv2", "resnet18", "resnet50"], "mobilenetv2", label="network")
    picture_kb = mo.ui.slider(5, 200, 5, value=60, label="picture (kB)", show_value=True)
    rate_mbps = mo.ui.slider(
        steps=[0.5, 1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 100, 200], value=10,
        label="rate up (Mbit/s)", show_value=True,
    )  # fmt: skip
    mo.hstack([network, picture_kb, rate_mbps], wrap=True, justify="start")
    return network, picture_kb, rate_mbps


@app.cell
def _(camera, network, picture_kb, rate_mbps):
    scenario = camera(
        f"links.cell.up={rate_mbps.value} Mbit/s",
        f"devices.camera.tasks.objects.models=['{network.value}']",
        f"devices.camera.tasks.objects.input={picture_kb.value} kB",
    )
    facts = scenario.setting(0.0).facts[0]
    return facts, scenario


@app.cell
def _():
    def cut_columns(facts):
        """Return for each cut the seconds before it, its bytes, and the seconds behind it."""
        (variant,) = facts.variants
        device, hub = facts.profiles["device"][variant], facts.profiles["hub"][variant]
        cuts = range(variant.last + 1)
        before_s = np.array([device.seconds(0, cut) for cut in cuts])
        sent_bytes = np.array([crossing(facts, variant, cut) for cut in cuts])
        sent_bytes[-1] = 0.0  # the answer is on the device already
        behind_s = np.array([hub.seconds(cut, variant.last) for cut in cuts])
        return before_s, sent_bytes, behind_s

    def latencies_s(facts, rates_bps):
        """Return L_k(B): one row a cut, one column a rate."""
        before_s, sent_bytes, behind_s = cut_columns(facts)
        cell = facts.cells["cell"]
        (result_bytes,) = facts.result_bytes.values()
        way_s = np.full(len(before_s), 2 * cell.delay_s + 8 * result_bytes / cell.down_bps)
        way_s[-1] = 0.0
        fixed_s = before_s + way_s + behind_s
        return fixed_s[:, None] + 8 * sent_bytes[:, None] / np.atleast_1d(rates_bps)[None, :]

    def inner(table_s):
        """Return by what share an inner cut beats both ends at each rate, and where, in words."""
        gain = 1 - table_s[1:-1].min(axis=0) / table_s[[0, -1]].min(axis=0)
        (won,) = np.nonzero(gain > 0)
        if not len(won):
            return gain, "never"
        low, high = (float(f"{rate / 1e6:.2g}") for rate in RATES_BPS[won[[0, -1]]])
        return gain, f"from {low:g} to {high:g} Mbit/s, by at most {gain.max():.0%}"

    return cut_columns, inner, latencies_s


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Bytes at each cut

    Each point below is a cut. To the right: more of the work was done on the slow device. Up: more
    bytes to send. Good cuts are down and left. The dashed line is the picture: what lies above it
    costs more bytes than sending the picture at once, *and* time on the device before.
    """)


@app.cell
def _(cut_columns, facts, latencies_s, network):
    _before_s, _bytes, _ = cut_columns(facts)
    _best = np.unique(latencies_s(facts, RATES_BPS).argmin(axis=0))
    cuts_figure, _axes = plt.subplots(figsize=(9, 3.8), layout="constrained")
    _axes.plot(1e3 * _before_s[1:-1], _bytes[1:-1] / 1e3, ".", color="#7F7F7F", label="a cut")
    _seen = _best[_best < len(_bytes) - 1]
    _axes.plot(
        1e3 * _before_s[_seen], _bytes[_seen] / 1e3, "o", color=COLOURS[3], label="best at some rate"
    )
    _axes.axhline(_bytes[0] / 1e3, color="black", linestyle="--", linewidth=1, label="the picture")
    _axes.set(xlabel="time on the device before the cut (ms)", ylabel="bytes that cross (kB)")
    _axes.set(yscale="log", title=f"{network.value}:int8, every cut")
    _axes.set_yticks([1, 10, 100, 1000], ["1", "10", "100", "1000"])
    _axes.legend(frameon=False, fontsize=8)
    cuts_figure.supxlabel(
        "Bytes computed from the network's graph, one byte a value (int8). Time rescaled to Cortex-A53.",
        fontsize=7, color="#555555",
    )  # fmt: skip
    cuts_figure
    return


@app.cell(hide_code=True)
def _(cut_columns, facts):
    _before_s, _bytes, _ = cut_columns(facts)
    _fewer = _bytes[1:-1] < _bytes[0]
    _first = _before_s[1:-1][_fewer].min(initial=_before_s[-1]) / _before_s[-1]
    mo.md(f"""
    **What to notice.** {int((~_fewer).sum())} of the {len(_bytes) - 2} inner cuts send at least as much
    as the picture. First layers turn three colours into dozens of *channels*, each an image of its own.
    It takes many layers until there is less than a compressed photograph has: the first cut below the
    dashed line comes when {_first:.0%} of the device's time is spent.

    ## The library's word

    The library knows the same cuts, as plans: `offload.Plan` names the cut and the machines, `unloaded`
    prices a list of plans while nobody else is there, and `neurosurgeon` is a policy that decides so.
    """)


@app.cell
def _(facts, latencies_s, rate_mbps, scenario):
    (_variant,) = facts.variants
    _last = _variant.last
    _plans = [offload.Plan(_variant, cut, _last, edge="hub", uplinks=("cell",)) for cut in range(_last)]
    _plans.append(offload.Plan(_variant, _last, _last))
    _prices = unloaded(facts, "cell", _plans)

    _formula_s = latencies_s(facts, facts.cells["cell"].up_bps)[:, 0]
    # The library lists what stays on the device first: look each plan up.
    _library_s = dict(zip([plan.device_cut for plan in _prices.plans], _prices.latency_s, strict=True))
    largest_gap_s = max(abs(_library_s[cut] - _formula_s[cut]) for cut in range(_last + 1))

    _chosen = offload.simulate(scenario, "neurosurgeon").rows()["plan"][0]
    mo.md(
        f"At {rate_mbps.value:g} Mbit/s formula and library differ by at most {largest_gap_s:.0e} s over"
        f" all {_last + 1} cuts: they say the same. By the formula the best is cut"
        f" {int(_formula_s.argmin())}, {1e3 * _formula_s.min():.1f} ms; in a simulation"
        f" `neurosurgeon` chooses `{_chosen}`: in brackets are the layers that each machine runs."
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## The best cut over the rate

    Now let the rate vary. The shaded range is where an inner cut is best. The text below the figure
    tells by how much.
    """)


@app.cell
def _(facts, inner, latencies_s, network, rate_mbps, scenario):
    _table_s = latencies_s(facts, RATES_BPS)
    _best, (_gain, _) = _table_s.argmin(axis=0), inner(_table_s)
    _mbps = RATES_BPS / 1e6
    figure, (_times, _cuts) = plt.subplots(
        2, 1, figsize=(9, 5.6), layout="constrained", sharex=True, height_ratios=[3, 1.3]
    )
    _ends = ("local", "edge")
    _times.plot(_mbps, 1e3 * _table_s[-1], color=colour("local", _ends), label="all on the device")
    _times.plot(_mbps, 1e3 * _table_s[0], color=colour("edge", _ends), label="all at the edge")
    _times.plot(_mbps, 1e3 * _table_s.min(axis=0), color="black", linewidth=2.2, label="the best cut")
    _most_ms = 2.2e3 * _table_s[-1, 0]
    for _axes in (_times, _cuts):
        _axes.fill_between(
            _mbps, 0, _most_ms, where=_gain > 0, color=COLOURS[5], alpha=0.25, linewidth=0,
            label="an inner cut wins",
        )  # fmt: skip
        _axes.axvline(rate_mbps.value, color="#999999", linestyle=":", linewidth=1)
    _times.set(ylim=(0, _most_ms), ylabel="latency (ms)", title=f"{network.value}:int8, cut in two")
    _times.legend(frameon=False, fontsize=8)
    _cuts.step(_mbps, _best, where="mid", color="black")
    _cuts.set(xscale="log", xlim=(0.3, 300), ylim=(-4, len(_table_s) + 3), ylabel="best cut")
    _cuts.set_xticks([0.3, 1, 3, 10, 30, 100, 300], ["0.3", "1", "3", "10", "30", "100", "300"])
    _cuts.minorticks_off()
    _cuts.set(xlabel="rate up the cell (Mbit/s)")
    figure.supxlabel(f"{scenario.known}; rates and delays assumed.", fontsize=7, color="#555555")
    figure
    return


@app.cell(hide_code=True)
def _(facts, inner, latencies_s):
    _, _where = inner(latencies_s(facts, RATES_BPS))
    mo.md(f"""
    **What to notice.** An inner cut wins: {_where}. If it does, then around the break-even of lesson 2,
    where staying and leaving cost about the same. Elsewhere one of the ends is best: on a slow cell one
    sends nothing, on a fast one everything.
    """)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## How rarely?

    Here are all image classifiers that are shipped in `fp32`, between a Raspberry Pi 4 and our
    measured core. For each: between which rates does an inner cut win, and by how much at best? The
    totals on the Raspberry Pi rest on a single published network, so their error is unknown; read the
    pattern, not the digits.
    """)


@app.cell
def _(camera):
    _catalogue = Catalogue()
    _names = [
        name
        for name in _catalogue.models
        for variant in _catalogue.variants(name)
        if variant.name == "fp32"
        and variant.task == "classification"
        and variant.input_shape[0] == 3  # colour photographs
        and _catalogue.profile(variant, "raspberry-pi-4") is not None
    ]

    def on_pi(name):
        """Return the facts of a network in fp32 between a Raspberry Pi 4 and the hub."""
        scenario = camera(
            "devices.camera.hardware=raspberry-pi-4",
            "devices.camera.tasks.objects.variants=['fp32']",
            f"devices.camera.tasks.objects.models=['{name}']",
        )
        return scenario.setting(0.0).facts[0]

    classifiers = {name: on_pi(name) for name in _names}
    return (classifiers,)


@app.cell
def _(classifiers, cut_columns, inner, latencies_s):
    rarely = []
    for _name, _facts in classifiers.items():
        _before_s, _bytes, _ = cut_columns(_facts)
        rarely.append({
            "network": _name,
            "on the device (ms)": round(1e3 * _before_s[-1]),
            "inner cuts": len(_bytes) - 2,
            "of fewer bytes than the picture": int((_bytes[1:-1] < _bytes[0]).sum()),
            "an inner cut wins": inner(latencies_s(_facts, RATES_BPS))[1],
        })  # fmt: skip
    mo.ui.table(rarely, selection=None, page_size=25)
    return (rarely,)


@app.cell(hide_code=True)
def _(rarely):
    _never = sum(row["an inner cut wins"] == "never" for row in rarely)
    mo.md(f"""
    In {_never} of {len(rarely)} networks no inner cut is best at any rate. Values of `fp32` have four
    bytes each: what crosses is four times as much as in `int8`.

    ## What a codec changes

    What crosses need not be sent as it is. A **codec** makes it smaller: it rounds values to 8 bits
    (`uint8`) and packs them (`+zstd`), and the other side unpacks. That costs time and some accuracy.
    `data/codecs.csv` has what this came to, measured on MobileNetV2 (`fp32`, weights trained on
    ImageNet) with 120 photographs, at every cut. Below is the same network with and without, between
    the Raspberry Pi and our core.
    """)


@app.cell
def _(classifiers, cut_columns, inner, latencies_s):
    with (DATA / "codecs.csv").open() as _file:
        _coded = {
            int(row["cut"]): row
            for row in csv.DictReader(_file)
            if (row["network"], row["variant"], row["codec"]) == ("mobilenetv2", "fp32", "uint8+zstd")
            and int(row["cut"]) > 0  # inner cuts; what is sent at cut 0 is the picture
        }
    _facts = classifiers["mobilenetv2"]
    _before_s, _bytes, _behind_s = cut_columns(_facts)
    _raw_s = latencies_s(_facts, RATES_BPS)
    _coded_s = _raw_s.copy()
    for _cut, _row in _coded.items():
        # Coding is told as a share of the whole network's time on the machine that does it.
        _coding_s = float(_row["encode_share"]) * _before_s[-1]
        _coding_s += float(_row["decode_share"]) * _behind_s[0]
        _coded_s[_cut] += _coding_s - 8 * (_bytes[_cut] - float(_row["bytes"])) / RATES_BPS
    _kept = np.mean([float(row["bytes"]) / float(row["values_bytes"]) for row in _coded.values()])
    _same = [float(row["score"]) for row in _coded.values()]
    mo.md(f"""
    | sent | an inner cut wins |
    |:--|:--|
    | raw values | {inner(_raw_s)[1]} |
    | `uint8+zstd` | {inner(_coded_s)[1]} |

    On average the codec leaves {_kept:.0%} of the bytes of an inner cut, and the network still names the
    same class for {np.mean(_same):.1%} of the photographs ({min(_same):.1%} at the worst cut).
    Compression is what makes the middle worth a thought.
    """)
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Exercises

    Think first, then open.
    """)


@app.cell
def _(camera, cut_columns, inner, latencies_s):
    def _where(*settings):
        facts = camera(*settings).setting(0.0).facts[0]
        return inner(latencies_s(facts, RATES_BPS))[1]

    _facts = camera().setting(0.0).facts[0]
    _table_s = latencies_s(_facts, RATES_BPS)
    _best = _table_s.argmin(axis=0)
    _cut = int(np.bincount(_best[(_best > 0) & (_best < len(_table_s) - 1)]).argmax())
    _after = _facts.variants[0].cuts[_cut].after
    _copy_bytes = _facts.variants[0].cuts[1].payload_bytes
    _, _bytes, _ = cut_columns(_facts)
    _more_s, _fewer_bits = (
        float(np.diff(latencies_s(_facts, np.inf)[[0, _cut], 0])[0]),
        8 * (_bytes[0] - _bytes[_cut]),
    )
    _small, _large = (
        _where(f"devices.camera.tasks.objects.input={size} kB") for size in (20, 200)
    )  # fmt: skip
    _middle, _weak = _where(), _where("nodes.hub.hardware=coral-desktop-cpu")

    exercises = [
        (
            f"For MobileNetV2 and a picture of 60 kB, the inner cut that is best over the widest range"
            f" lies behind {_after} layers and sends {_bytes[_cut] / 1e3:.1f} kB. At which rate does it"
            " take as long as sending the picture? (Two straight lines meet.)",
            f"$8 (D_0 - D_k) / B$ must be the difference of all their other seconds:"
            f" {_fewer_bits / 1e3:.0f} kbit less to send are worth {1e3 * _more_s:.1f} ms more of"
            f" computing, at {_fewer_bits / _more_s / 1e6:.1f} Mbit/s. Below that rate the cut is"
            " better than the picture, above it is worse.",
        ),
        (
            "The picture may be packed harder, to 20 kB, or have more pixels and take 200 kB. The"
            " network is the same, since it looks at a small copy. When is an inner cut worth more?",
            f"An inner cut wins: with 20 kB {_small}; with 60 kB {_middle}; with 200 kB {_large}. A cut"
            " competes with the picture: the dearer that is to send, the more cuts are cheaper. With"
            f" 200 kB even the small copy that the network looks at, {_copy_bytes / 1e3:.0f} kB of plain"
            " bytes, is less than the picture: cutting behind the first layer sends that.",
        ),
        (
            "The hub is replaced by a slower machine, a desktop processor of which published figures are"
            " known. Does cutting become more or less worth while?",
            f"(Its name is `coral-desktop-cpu`.) An inner cut then wins {_weak}; with"
            f" the quicker hub, {_middle}. Leaving saves less now, so"
            " it takes a faster cell to be worth it, and the range around the break-even moves up"
            " with it; and even at best there is less to gain.",
        ),
    ]
    mo.accordion(dict(exercises))
    return


if __name__ == "__main__":
    app.run()
