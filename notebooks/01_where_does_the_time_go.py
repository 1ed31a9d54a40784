"""Lesson 1: where the seconds of a network go, layer by layer, and those of a request, leg by leg."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="1. Where does the time go?")

with app.setup:
    import tempfile
    from pathlib import Path

    import marimo as mo
    import numpy as np
    from matplotlib import pyplot as plt

    import offload
    from offload.analysis.rows import LEGS
    from offload.policies.table import choose
    from offload.scenario.catalogue import Catalogue
    from offload.views.palette import COLOURS, LEG_COLOURS


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # 1. Where does the time go?

    A camera takes a picture and wants to know what is on it. A neural network tells. Before we ask
    *where* the network should run, on the camera or on a bigger machine, we must know what it costs
    to run it at all, and which part of it costs most.

    A network is a list of **layers**. Each takes numbers, computes, and hands other numbers on. A
    **profile** is a table that says how many seconds each layer took on one machine. `offload` ships
    such tables. They were measured with PyTorch on one core of a server processor, called `x86-core`
    here: run the network many times, read a clock before and after each layer, and take the mean.
    """)


@app.cell
def _():
    catalogue = Catalogue()  # knows all profiles and machines that are shipped

    def profile(network, form, hardware="x86-core"):
        """Return what a form of a network (fp32, int8) costs on a machine."""
        variant = next(each for each in catalogue.variants(network) if each.name == form)
        return catalogue.profile(variant, hardware)

    four = [("resnet50", "fp32"), ("resnet50", "int8"), ("mobilenetv2", "fp32"), ("mobilenetv2", "int8")]
    # A colour for each kind of layer that these networks have.
    _kinds = {layer.kind for each in four for layer in profile(*each).variant.layers}
    kinds = dict(zip(sorted(_kinds), COLOURS, strict=False))
    return four, kinds, profile


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## The whole and its parts

    Nothing runs beside anything else on one core, so the whole should take what its layers take:

    $$T = \sum_{i=1}^{n} t_i$$

    | symbol | meaning | unit |
    |:--|:--|:--|
    | $n$ | how many layers the network has | |
    | $t_i$ | what layer $i$ takes, a mean over many runs | s |
    | $T$ | what the whole network takes, from end to end | s |

    Is that so? A clock that is read a hundred times costs time itself, and a layer that runs alone
    may find other things in the processor's cache than one that runs in its place. So both were
    measured, in turns: whole runs without a look at the layers, and runs with one. A profile keeps
    both, `raw_sum_s` and the seconds of layers scaled so that they sum to the whole. If the two
    differed much, the layers could not be trusted.
    """)


@app.cell
def _(four, profile):
    parts = []
    for _network, _form in four:
        _profile = profile(_network, _form)
        _whole_s, _sum_s = sum(_profile.layers_s[1]), _profile.raw_sum_s[1]
        parts.append({
            "network": _profile.variant.label,
            "layers": len(_profile.variant.layers),
            "end to end (ms)": round(1e3 * _whole_s, 3),
            "sum of its layers (ms)": round(1e3 * _sum_s, 3),
            "difference": f"{_sum_s / _whole_s - 1:+.1%}",
        })  # fmt: skip
    mo.ui.table(parts, selection=None)
    return


@app.cell(hide_code=True)
def _(profile):
    mo.md(f"""
    Within one per cent the parts are the whole. (Names: `fp32` computes with numbers of 32 bits,
    `int8` with whole numbers of 8 bits, which modern processors do faster.)

    How it is known: {profile("resnet50", "fp32").known}, on
    {profile("resnet50", "fp32").source}.

    ## How many layers make most of the time?

    Each bar is a layer, in the order in which they run. On the right the same layers are sorted, the
    longest first, and added up: how many does it take for 80 % of the time?
    """)


@app.cell
def _():
    form = mo.ui.dropdown(["fp32", "int8"], value="fp32", label="form")
    form
    return (form,)


@app.cell
def _(form, four, kinds, profile):
    def few(network, form, share=0.8):
        """Return how many of a network's layers, the longest first, take this share of its time."""
        longest_s = np.sort(profile(network, form).layers_s[1])[::-1]
        reached = np.cumsum(longest_s) / longest_s.sum() >= share
        return int(np.argmax(reached)) + 1, len(longest_s)

    layers_figure, (*_bars, _curve) = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
    for _axes, _network in zip(_bars, ("resnet50", "mobilenetv2"), strict=True):
        _profile = profile(_network, form.value)
        _seconds = np.array(_profile.layers_s[1])
        _kinds = np.array([layer.kind for layer in _profile.variant.layers])
        for _kind in sorted(set(_kinds), key=lambda kind: -_seconds[_kinds == kind].sum()):
            (_at,) = np.nonzero(_kinds == _kind)
            _share = _seconds[_at].sum() / _seconds.sum()
            _label = f"{_kind}, {_share:.0%}" if _share >= 0.005 else None
            _axes.bar(_at + 1, 1e3 * _seconds[_at], width=1.0, color=kinds[_kind], label=_label)
        _axes.set(xlabel="layer, in order", ylabel="time (ms)", title=f"{_network}:{form.value}")
        _axes.legend(frameon=False, fontsize=7, title="kind of layer, share", title_fontsize=7)
    for (_network, _form), _colour in zip(four, COLOURS, strict=False):
        _sorted = np.sort(profile(_network, _form).layers_s[1])[::-1]
        _shares = np.arange(len(_sorted) + 1) / len(_sorted)
        _sums = np.concatenate([[0], np.cumsum(_sorted)]) / _sorted.sum()
        _curve.plot(100 * _shares, 100 * _sums, color=_colour, label=f"{_network}:{_form}")
    _curve.axhline(80, color="#999999", linestyle=":", linewidth=1)
    _curve.set(xlabel="share of layers, longest first (%)", ylabel="share of the time (%)")
    _curve.set(title="How many make most of it?", xlim=(0, 100), ylim=(0, 101))
    _curve.legend(frameon=False, fontsize=8)
    layers_figure.supxlabel(f"Measured on {_profile.source}.", fontsize=7, color="#555555")
    layers_figure
    return (few,)


@app.cell(hide_code=True)
def _(four, few):
    _told = [f"`{':'.join(each)}` {few(*each)[0]} of {few(*each)[1]}" for each in four]
    mo.md(f"""
    **What to notice.** For 80 % of the time it takes, of all layers: {", ".join(_told)}. In `fp32` that
    is a quarter to a third of them: convolutions (`conv`, `pointwise`, `depthwise`) take most of it,
    and the many normalisations and activations are cheap, one by one. In `int8` those were folded into
    the convolutions before them, so what is left is more alike. In `fp32` one early `pool` of ResNet-50
    stands out: it computes next to nothing, but torch is slow at it. Nobody would have guessed that; it
    was measured.

    Layers are not alike, so the time does not pass evenly: whoever cuts a network in the middle of its
    list does not cut its time in halves.
    """)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## A machine that nobody measured

    Our camera has a small processor, a Cortex-A53. We have not measured it; but others have published
    how long some *whole* networks take there. So the profile is **rescaled**: the total comes from
    what was published, and the shares of the layers from our own measurement:

    $$\hat t_i = t_i \, \frac{\hat T}{T}$$

    | symbol | meaning | unit |
    |:--|:--|:--|
    | $t_i$, $T$ | layer and whole, measured on `x86-core` | s |
    | $\hat T$ | the whole on the other machine: published, or told from other published networks | s |
    | $\hat t_i$ | what we then take layer $i$ to take there | s |

    This is a guess, and the library says how good one. Where a total is not published for the very
    network, it is told from the others, and the error is that of telling each published network from
    the rest. On the shares of the layers there are two opinions: what we measured elsewhere, and what
    the published totals say of kinds of layers. The table and the figure show how far they lie apart.
    """)


@app.cell
def _(profile):
    rescaled = []
    for _network in ("mobilenetv2", "resnet50"):
        for _machine in ("x86-core", "cortex-a53"):
            _profile = profile(_network, "int8", _machine)
            rescaled.append({
                "network": _profile.variant.label,
                "machine": _machine,
                "total (ms)": round(1e3 * sum(_profile.layers_s[1]), 2),
                "known": _profile.known,
                "error": _profile.error or "spread between runs only",
            })  # fmt: skip
    mo.ui.table(rescaled, selection=None, wrapped_columns=["error"])
    return


@app.cell
def _(profile):
    opinions, _panels = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for _axes, _network in zip(_panels, ("mobilenetv2", "resnet50"), strict=True):
        _profile = profile(_network, "int8", "cortex-a53")
        for _layers_s, _style, _label in (
            (_profile.layers_s[1], "-", "shares as measured on x86-core"),
            (_profile.second_s, "--", "second opinion, from published totals"),
        ):
            _done_ms = 1e3 * np.concatenate([[0], np.cumsum(_layers_s)])
            _axes.plot(_done_ms, _style, color="black" if _style == "-" else COLOURS[3], label=_label)
        _axes.set(xlabel="layers that have run", ylabel="time until then (ms)")
        _axes.set(title=f"{_network}:int8 on a Cortex-A53")
        _axes.legend(frameon=False, fontsize=7)
    opinions.supxlabel(
        "Rescaled: published by Coral (int8 assumed); ResNet-50's total told from other networks.",
        fontsize=7, color="#555555",
    )  # fmt: skip
    opinions
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    (`fp32` is missing: what is published for this processor is of `int8` networks, and a published
    figure stands for its own precision only. The library refuses to guess across.)

    ## The legs of one request

    Now the camera asks. From the moment at which the picture is there (the request is *born*) until
    the answer is there, time goes by in **legs**: consecutive pieces, waiting included, that sum to
    the latency:

    $$
    L = t_\text{decide} + t_\text{device} + t_\text{uplink} + t_\text{edge} +
    t_\text{wan} + t_\text{cloud} + t_\text{downlink}
    $$

    | leg | what happens |
    |:--|:--|
    | decide | the camera decides where the request runs; here that takes no time |
    | device | the camera computes |
    | uplink | bits go up over the radio cell |
    | edge | a machine near the mast computes |
    | wan | bits go over wires to a data centre, and back |
    | cloud | a machine there computes |
    | downlink | the answer comes down over the cell |

    A scenario is a text that says what there is. This one has a single camera, so nobody waits.
    """)


@app.cell
def _():
    text = """
    format = 1
    name = "one-camera"
    duration = "10 s"

    [devices.camera]
    count = 1
    hardware = "cortex-a53"

    [devices.camera.tasks.objects]
    models = ["mobilenetv2"]
    variants = ["int8"]
    every = "1 s"
    deadline = "1 s"
    input = "60 kB"                     # assumed: a JPEG frame
    result = "1 kB"                     # assumed: labels with scores

    [nodes.hub]
    kind = "edge"
    hardware = "x86-core"

    [nodes.region]
    kind = "cloud"
    hardware = "x86-core"

    [links]                             # rates and delays are assumed
    cell = { from = "*", to = "hub", up = "20 Mbit/s", down = "80 Mbit/s", delay = "5 ms" }
    backhaul = { from = "hub", to = "region", rate = "1 Gbit/s", delay = "15 ms" }
    """
    with tempfile.TemporaryDirectory() as _folder:
        _file = Path(_folder) / "one-camera.toml"
        _file.write_text(text)
        scenario = offload.load(_file)
    mo.md(f"```toml{text}```")
    return (scenario,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    A **policy** decides where a request runs. `local` keeps it on the camera, `edge` sends the picture
    to the hub, `cloud` sends it on to the region. A fourth way is to *split*: the camera runs the
    first layers, and sends what comes out of them. `offload.simulate` plays the scenario once, and its
    `rows()` tell of every request.
    """)


@app.cell
def _(scenario):
    policies = {
        "local": "local",
        "split after 24 layers": choose({"name": "edge", "after": 24}),
        "edge": "edge",
        "cloud": "cloud",
    }
    # The first request of each run: the same picture, and the same luck, under every policy.
    first = {
        label: offload.simulate(scenario, policy).rows().row(0, named=True)
        for label, policy in policies.items()
    }
    mo.ui.table(
        [
            {"policy": label, **{leg.removesuffix("_s"): round(1e3 * row[leg], 2) for leg in LEGS}}
            | {"sum of legs (ms)": round(1e3 * sum(row[leg] for leg in LEGS), 2)}
            | {"latency (ms)": round(1e3 * row["latency_s"], 2)}
            for label, row in first.items()
        ],
        selection=None,
    )
    return (first,)


@app.cell
def _(first, scenario):
    figure, _axes = plt.subplots(figsize=(9, 3.6), layout="constrained")
    _left = np.zeros(len(first))
    for _leg, _colour in zip(LEGS, LEG_COLOURS, strict=True):
        _ms = np.array([1e3 * row[_leg] for row in first.values()])
        if _ms.any():
            _axes.barh(list(first), _ms, left=_left, color=_colour, label=_leg.removesuffix("_s"))
            _left += _ms
    for _place, _total in enumerate(_left):
        _axes.annotate(f" {_total:.0f} ms", (_total, _place), va="center", fontsize=8)
    _axes.invert_yaxis()
    _axes.set(xlabel="time since the request was born (ms)", ylabel="where it ran")
    _axes.set(title="One request, leg by leg", xlim=(0, 1.12 * _left.max()))
    _axes.legend(frameon=False, fontsize=8, ncols=3, loc="lower right")
    figure.supxlabel(f"{scenario.known}; rates and delays assumed.", fontsize=7, color="#555555")
    figure
    return


@app.cell(hide_code=True)
def _(first, profile):
    _away, _mean_s = first["edge"], sum(profile("mobilenetv2", "int8", "cortex-a53").layers_s[1])
    mo.md(
        f"**What to notice.** The table above said {1e3 * _mean_s:.0f} ms for the device: that is a"
        " mean, and a single request is luckier or less lucky. At the edge the network"
        f" takes {1e3 * _away['edge_s']:.1f} ms of"
        f" {1e3 * _away['latency_s']:.0f}: nearly all of the time goes to moving the picture"
        f" ({1e3 * _away['uplink_s']:.0f} ms up). On the device it is the other way round. That is the"
        " whole subject: computing near is slow, computing far costs the way. Splitting sends fewer"
        " bytes than the picture has, but pays for the first layers on the slow machine."
    )


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Exercises

    Think first, then open.
    """)


@app.cell
def _(first, profile):
    _profile = profile("resnet50", "fp32")
    _seconds = np.array(_profile.layers_s[1])
    _flops = np.array([layer.flops for layer in _profile.variant.layers])
    _convolves = np.array(["conv" in layer.op for layer in _profile.variant.layers])
    _other_s, _other_flops = (
        each[~_convolves].sum() / each.sum() for each in (_seconds, _flops)
    )  # fmt: skip

    _mobile = profile("mobilenetv2", "fp32")
    _pointwise = sum(
        seconds
        for layer, seconds in zip(_mobile.variant.layers, _mobile.layers_s[1], strict=True)
        if layer.kind == "pointwise"
    ) / sum(_mobile.layers_s[1])
    _quicker = 1 / (1 - _pointwise + _pointwise / 2)

    _edge, _local = first["edge"], first["local"]
    _bits = 8 * _edge["up_bytes"]
    _delay_s = _edge["uplink_s"] - _bits / 20e6
    _left_s = _local["latency_s"] - (_edge["latency_s"] - _edge["uplink_s"]) - _delay_s
    _even_bps = _bits / _left_s

    exercises = [
        (
            "Convolutions do nearly all multiplications of ResNet-50 in fp32. Do the other layers take"
            " no time, then? Guess their share of the operations and of the seconds.",
            f"They do {_other_flops:.1%} of the operations, and take {_other_s:.1%} of the seconds on"
            " this core: they compute little for each number that they read and write, and moving"
            " numbers takes time too. Operations are not seconds; that is why layers are measured.",
        ),
        (
            "Somebody makes all pointwise convolutions of MobileNetV2 (fp32) twice as fast. How many"
            " times as fast is the whole network then?",
            f"They take the share $s$ = {_pointwise:.0%} of the time, so the whole becomes"
            f" $1 / (1 - s + s / 2)$ = {_quicker:.2f} times as fast, not twice: what was not"
            " improved stays. (This is Amdahl's law, 1967.)",
        ),
        (
            "The camera's cell carries 20 Mbit/s up. At which rate would the request take as long at"
            " the edge as on the device, with all other legs as they are?",
            f"The device needs {1e3 * _local['latency_s']:.0f} ms. At the edge all but the sending of"
            f" {_bits / 8e3:.0f} kB takes {1e3 * (_local['latency_s'] - _left_s):.1f} ms. What is left"
            f" for sending is {1e3 * _left_s:.0f} ms, so the rate is {_even_bps / 1e6:.1f} Mbit/s. Above"
            " that the edge is quicker. Lesson 2 makes a formula of it.",
        ),
    ]
    mo.accordion(dict(exercises))
    return


if __name__ == "__main__":
    app.run()
