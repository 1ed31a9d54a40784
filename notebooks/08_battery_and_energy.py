"""Lesson 8: where a device's joules go, when offloading saves some, and how long a battery lasts."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="8. Battery and energy")

with app.setup:
    import math
    import tempfile
    from pathlib import Path

    import marimo as mo
    import numpy as np

    import offload
    from offload.energy import Radio
    from offload.policies.table import choose
    from offload.simulation.run import run
    from offload.views.figures import canvas, legend, panels
    from offload.views.palette import COLOURS, colour
    from offload.world.battery import DAY_S, Battery, solar
    from offload.world.power import RADIOS


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # 8. Battery and energy

    A watt is a joule a second; a battery of one watt hour holds 3 600 joules. A device spends them on
    four things: **computing**, **sending**, **staying awake** after sending, and merely **being on**.
    Whether it is worth to send a frame away instead of computing it depends on the first three; how
    long the battery lasts depends on all four, and often most of all on the last.
    """)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Joules of a frame

    | symbol | meaning | unit |
    |:--|:--|:--|
    | $t$ | time that the network takes on the device | s |
    | $P_b, P_i$ | power of the device when it computes, and when it is idle | W |
    | $B$ | bytes that are sent | byte |
    | $C$ | rate of the cell | bit/s |
    | $\beta, \alpha$ | power of the radio: $\beta + \alpha C$ watts while it sends | W, J/bit |
    | $P_t, t_t$ | power and length of the *tail*, while a radio stays awake after its last byte | W, s |
    | $E_w$ | joules of waking a sleeping radio | J |
    | $G$ | time from one frame to the next | s |
    | $g = G - 8B/C$ | the pause between two transfers | s |

    $$ E_\text{compute} = (P_b - P_i)\, t \qquad\quad
       E_\text{send} = (\beta + \alpha C)\,\frac{8B}{C} \qquad\quad
       E_\text{after} = P_t \min(g, t_t) + [\,g > t_t\,]\, E_w $$

    Offloading saves energy where $E_\text{send} + E_\text{after} < E_\text{compute}$. Only what is
    *above* idling counts, since the device idles either way. The first comparison of this kind is by
    Kumar and Lu, *Cloud computing for mobile users* (IEEE Computer, 2010); the lines of power over rate
    and the tails are by Huang et al. (MobiSys 2012), as widely repeated: the library marks them
    *assumed*, since nobody here checked them against the paper. In the library: `offload/energy.py`,
    `offload/world/power.py`.
    """)


@app.cell
def _():
    camera = """
    format = 1
    name = "battery-camera"
    duration = "400 s"
    drain = "60 s"
    seed = 8

    [devices.camera]
    hardware = "cortex-a53"
    radio_power = "wifi"
    [devices.camera.tasks.frames]
    models = ["mobilenetv2"]
    variants = ["int8"]
    every = "1 s"
    deadline = "500 ms"
    late = "finish"
    input = "60 kB"
    result = "1 kB"

    [nodes.site]
    kind = "edge"
    hardware = "x86-core"

    [links]
    cell = { from = "*", to = "site", up = "20 Mbit/s", down = "50 Mbit/s", delay = "4 ms" }
    """
    return (camera,)


@app.function
def read(text: str, *settings: str) -> offload.Scenario:
    """Load a scenario from its text: it is written to a file that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lesson.toml"
        path.write_text(text)
        return offload.load(path, settings)


@app.cell
def _(camera):
    _facts = read(camera).setting(0.0).facts[0]
    _profile = _facts.profiles["device"][_facts.variants[0]]
    compute_s = _profile.seconds(0, _facts.variants[0].last)
    compute_j = _facts.hardware.marginal_w * compute_s
    idle_w = _facts.hardware.idle_w.value
    known = f"compute time {_profile.known}; powers of the board {_facts.hardware.busy_w.known}"
    mo.md(f"""
    The camera's board (`cortex-a53`) needs {1e3 * compute_s:.0f} ms for a frame ({_profile.known}:
    {_profile.source.split(";")[0]}) and draws {_facts.hardware.marginal_w:.1f} W more than its idle
    {idle_w:.1f} W ({_facts.hardware.busy_w.known}): $E_\\text{{compute}}$ = **{1e3 * compute_j:.0f}
    mJ**.
    """)
    return compute_j, idle_w, known


@app.cell
def _():
    rate_slider = mo.ui.slider(
        2, 60, step=2, value=20, label="rate of the cell, C (Mbit/s)", show_value=True
    )
    rate_slider
    return (rate_slider,)


@app.cell
def _(compute_j, known, rate_slider):
    def sent_j(radio: Radio, size: float, rate_bps: float, gap_s: float) -> float:
        """Return the joules of sending so many bytes, and of what the radio does until the next."""
        air_s = 8 * size / rate_bps
        pause_s = max(0.0, gap_s - air_s)
        after_j = radio.tail_j(pause_s) + radio.sleeps_after(pause_s) * radio.promotion_j
        return radio.up_j(size, air_s) + after_j

    _bps = 1e6 * rate_slider.value
    _sizes = np.geomspace(1e3, min(2e6, _bps / 8), 60)  # no more than passes within the second
    breakeven, _axes = canvas(
        f"joules of a frame, one a second, over a cell of {rate_slider.value} Mbit/s"
    )
    _axes.axhline(
        1e3 * compute_j, color=colour("local", ["local"]), linewidth=1.8, label="computed on the device"
    )
    _radios = {
        "a radio of 1.2 W, no tail (assumed)": None,
        "phone-lte (our fit of published runs)": "phone-lte",
        "wifi (2012, assumed)": "wifi",
        "lte (2012, assumed)": "lte",
    }
    for (_label, _name), _colour in zip(_radios.items(), COLOURS[1:], strict=False):
        _radio = RADIOS[_name] if _name else Radio.constant(1.2, "this lesson")
        _joules = [sent_j(_radio, size, _bps, 1.0) for size in _sizes]
        _axes.plot(_sizes / 1e3, 1e3 * np.array(_joules), color=_colour, label=_label)
    _axes.axvline(60, color="#999999", linestyle=":", linewidth=1)
    _axes.annotate("a JPEG frame\n(60 kB, assumed)", (62, 1.3), fontsize=7, color="#555555")
    _axes.set(
        xscale="log",
        yscale="log",
        xlabel="bytes sent (kB)",
        ylabel="energy of the device above idling (mJ)",
    )
    legend(_axes, loc="upper left", ncols=1)
    _axes.set_ylim(1, 3e4)
    breakeven.text(0.01, 0.005, f"formulas of this lesson; {known}", fontsize=6.5, color="#555555")
    breakeven
    return breakeven, sent_j


@app.cell(hide_code=True)
def _(compute_j, rate_slider):
    _lte, _wifi = RADIOS["lte"], RADIOS["wifi"]
    mo.md(f"""
    **What to notice.** Where a line is below the blue one, sending saves energy. A radio has two prices:
    one for each byte (the slope at the right) and one for having been used at all (the flat part at the
    left). For `lte` the second alone is up to {1e3 * _lte.tail_j(1.0):.0f} mJ at one frame a second, so
    no frame is small enough. `wifi` sleeps again after {1e3 * _wifi.tail_s:.0f} ms and pays little. A
    quicker cell (the slider; now {rate_slider.value} Mbit/s) helps a radio of constant power much, and
    one that draws by the bit hardly at all. Computing takes {1e3 * compute_j:.0f} mJ whatever the
    cell does.
    """)


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## The same by simulation

    The rows of a run hold what each request took of its device; what a device draws beside its requests
    (idling, tails, waking) is in its account, `offload.simulate(...).devices`. The two add up to all
    that it drew.
    """)


@app.cell
def _(camera):
    ways = {  # how a frame is answered: policy, radio
        "on the device": ("local", "1.2 W"),
        "sent, 1.2 W radio": ("edge", "1.2 W"),
        "sent, phone-lte": ("edge", "phone-lte"),
        "sent, wifi": ("edge", "wifi"),
        "sent, lte": ("edge", "lte"),
    }
    gaps_s = (1, 20)
    parts_j = {}  # by way and gap: joules a frame of each part
    for _label, (_policy, _radio) in ways.items():
        for _gap_s in gaps_s:
            _settings = [
                f'devices.camera.radio_power="{_radio}"',
                f"devices.camera.tasks.frames.every={_gap_s} s",
                f"duration={400 * _gap_s} s",
            ]
            _result = offload.simulate(read(camera, *_settings), _policy)
            (_account,), _frames = _result.devices, _result.rows().height
            _own = _account.marginal_j / _frames
            parts_j[_label, _gap_s] = {
                "computing": _own if _policy == "local" else 0.0,
                "sending": _own if _policy == "edge" else 0.0,
                "tail": _account.tail_j / _frames,
                "waking": _account.promotion_j / _frames,
                "idling": _account.idle_j / _frames,
            }
    return gaps_s, parts_j, ways


@app.cell
def _(gaps_s, known, parts_j, ways):
    shares, _panels = panels(
        "joules of a frame above idling, by what they are spent on", len(gaps_s), 4.3, 2.8, 2
    )
    for _axes, _gap_s in zip(_panels, gaps_s, strict=True):
        _left = np.zeros(len(ways))
        for _part, _colour in zip(("computing", "sending", "tail", "waking"), COLOURS, strict=False):
            _values = 1e3 * np.array([parts_j[label, _gap_s][_part] for label in ways])
            _axes.barh(list(ways), _values, left=_left, color=_colour, label=_part)
            _left += _values
        for _place, _total in enumerate(_left):
            _axes.annotate(f"{_total:,.0f}", (_total, _place), xytext=(3, 0), textcoords="offset points",
                           va="center", fontsize=7)  # fmt: skip
        _axes.invert_yaxis()
        _idle = parts_j["on the device", _gap_s]["idling"]
        _axes.set_title(
            f"a frame every {_gap_s} s; idling takes {_idle:.0f} J more", fontsize=8, loc="left"
        )
        _axes.set(xlabel="mJ a frame", xlim=(0, 1.2 * _left.max()))
    _panels[1].set_yticklabels([])
    legend(_panels[1], loc="center right")
    shares.text(0.01, 0.005, f"simulated, 400 frames; {known}; radios: phone-lte published, "
                "the others assumed", fontsize=6.5, color="#555555")  # fmt: skip
    shares
    return (shares,)


@app.cell(hide_code=True)
def _(idle_w, parts_j):
    _each = parts_j["sent, lte", 20]
    _drawn = sum(parts_j["on the device", 1].values())
    mo.md(f"""
    **What to notice.** A tail is paid once for each pause, not for each byte. With a frame every 20 s
    `lte` spends {_each["tail"]:.1f} J awake for every frame, {_each["tail"] / _each["sending"]:.0f}
    times what the frame itself takes ({_each["sending"]:.2f} J): whoever collects frames and sends them
    together pays it once. And computing is small beside {idle_w:.0f} W of idling: at a frame a second
    {parts_j["on the device", 1]["idling"] / _drawn:.0%} of what a computing board draws is for being
    on. Who wants a battery to last must let the board sleep first.
    """)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## How long it lasts, and living off the sun

    | symbol | meaning | unit |
    |:--|:--|:--|
    | $Q$ | what the battery holds | J |
    | $E$ | joules of a frame above idling (all parts) | J |
    | $P_i + E/G$ | what the device draws on average | W |
    | $H$ | what a panel gives on average: $1 / \pi$ of its peak (half a sine, half of the day) | W |
    | $L$ | how long the battery lasts | s |

    $$ L = \frac{Q}{P_i + E/G - H} \qquad \text{if the draw exceeds } H $$

    But at night the panel gives nothing, whatever it gives on average.

    That is the conservation of energy; the half sine is assumed (`offload/world/battery.py`). Below, the
    board sleeps between frames: 30 mW instead of 2 W (assumed), a frame every 6 s, a battery of 0.6 Wh
    that is full at noon. In a run a device whose battery is empty is **off**, and its frames are lost
    (cause `no-power`), until it holds the share `low` again.
    """)


@app.cell
def _():
    peak_slider = mo.ui.slider(
        0.0, 0.5, step=0.02, value=0.2, label="peak of the panel (W)", show_value=True
    )
    peak_slider
    return (peak_slider,)


@app.cell
def _(camera):
    asleep = [
        'hardware.cortex-a53={ idle_power = { value = "30 mW", known = "assumed", source = "sleeps" },'
        ' busy_power = { value = "1.53 W", known = "assumed", source = "sleeps" } }',
        "devices.camera.tasks.frames.every=6 s",
        "duration=24 h",
    ]
    lives = {  # the colour of each: local's own, and two others
        "on the device": ("local", "1.2 W", COLOURS[0]),
        "sent, phone-lte": ("edge", "phone-lte", COLOURS[2]),
        "sent, lte": ("edge", "lte", COLOURS[3]),
    }

    def live(label: str, peak_w: float, capacity: str = "0.6 Wh"):
        """Simulate a day from noon; return times (s) and charges (J) at frames, and the account."""
        policy, radio, _ = lives[label]
        harvest = f'{{ peak = "{peak_w!r} W", starts = "12 h" }}'
        battery = f'devices.camera.battery={{ capacity = "{capacity}", low = 0.1, harvest = {harvest} }}'
        radio_power = f'devices.camera.radio_power="{radio}"'
        seen = []

        def look(_world, questions, _plans):
            seen.extend((each.seen.now_s, each.seen.battery_j) for each in questions)

        done = run(
            read(camera, *asleep, battery, radio_power), choose({"name": policy}), 8, 0, watch=look
        )
        times_s, charges_j = np.array(seen).T
        return times_s, charges_j, done.devices[0]

    return asleep, live, lives


@app.cell
def _(live, lives, peak_slider):
    days = {label: live(label, peak_slider.value) for label in lives}
    return (days,)


@app.cell
def _(days, known, lives, peak_slider):
    figure, _axes = canvas(f"a battery of 0.6 Wh through a day, with a panel of {peak_slider.value:g} W")
    for _label, (_times_s, _charges_j, _account) in days.items():
        # Where no frame was asked about for a while, the device was off: no line there.
        _gone = np.flatnonzero(np.diff(_times_s) > 60) + 1
        _hours = np.insert(_times_s / 3600, _gone, np.nan)
        _held = np.insert(_charges_j / 3600, _gone, np.nan)
        _off_h = _account.off_s / 3600
        _told = f"{_label}: off for {_off_h:.1f} h" if _off_h else f"{_label}: never off"
        _axes.plot(_hours, _held, color=lives[_label][2], label=_told, linewidth=1.6)
    _axes.axvspan(6, 18, color="#000000", alpha=0.06, linewidth=0)
    _axes.annotate(
        "night", (12, 0.03), xycoords=("data", "axes fraction"), ha="center", fontsize=7, color="#555555"
    )
    _axes.set(xlabel="hours since noon", ylabel="charge (Wh)", xlim=(0, 24), ylim=(0, 0.78))
    _axes.set_xticks(range(0, 25, 3))
    legend(_axes, loc="upper right")
    figure.text(0.01, 0.005, f"simulated; {known.split(';')[0]}; powers and panel assumed; phone-lte: "
                "our fit of published runs", fontsize=6.5, color="#555555")  # fmt: skip
    figure
    return (figure,)


@app.cell
def _(compute_j, live, lives, sent_j):
    without_sun = {label: live(label, 0.0)[2] for label in lives}
    _rows = []
    for _label, _account in without_sun.items():
        _on_s = _account.seconds - _account.off_s
        _policy, _radio, _ = lives[_label]
        _each_j = compute_j if _policy == "local" else sent_j(RADIOS[_radio], 60e3, 20e6, 6.0)
        _watts = 0.03 + _each_j / 6
        _told = f"{_on_s / 3600:.2f} h" if _account.off_s else f"more than {_on_s / 3600:.0f} h"
        _rows.append(f"| {_label} | {1e3 * _watts:.0f} mW | {0.6 / _watts:.2f} h | {_told} |")
    mo.md(
        """
    Without any sun:

    | a frame every 6 s | $P_i + E/G$ | $L = Q / (P_i + E/G)$ | simulated |
    |:--|--:|--:|--:|
    """
        + "\n    ".join(_rows)
        + """

    (The formula leaves out the answer of 1 kB that comes back, and that some frames take longer than
    others.)
    """
    )
    return (without_sun,)


@app.cell(hide_code=True)
def _(days, without_sun):
    _off = {label: account.off_s / 3600 for label, (_, _, account) in days.items()}
    _ratio = without_sun["on the device"].drawn_j / max(without_sun["on the device"].idle_j, 1e-9)
    mo.md(f"""
    **What to notice.** Once the board sleeps between frames, the frames decide: computing makes the
    device draw {_ratio:.1f} times its idle power. With this panel it is off for
    {_off["on the device"]:.1f} h if it computes, for {_off["sent, phone-lte"]:.1f} h if it sends over
    `phone-lte`, and for {_off["sent, lte"]:.1f} h with `lte` and its tail of 2012: a frame every 6 s
    keeps that radio awake for ever. Which one is best is a matter of radios, not of principle: move the
    panel, and mark which radios rest on published runs and which are assumed.
    """)


@app.cell
def _(compute_j, parts_j, without_sun):
    _cell_bps, _radio_w = 20e6, 1.2
    _most_bytes = compute_j * _cell_bps / (8 * _radio_w)
    _local, _lte = (sum(v for k, v in parts_j[label, 20].items() if k != "idling")
                    for label in ("on the device", "sent, lte"))  # fmt: skip
    _account = without_sun["on the device"]
    _draw_w = _account.drawn_j / (_account.seconds - _account.off_s)
    _peak_w = _draw_w * 24 / 12 * math.pi / 2
    _sun = Battery(3 * 3600.0, solar(_peak_w, starts_h=12))
    _start_j = 1.5 * 3600.0
    _end_j = _sun.after(_start_j, 0.0, DAY_S, _draw_w)
    _low_j = min(_sun.after(_start_j, 0.0, hour * 3600.0, _draw_w) for hour in range(25))
    _top_j = max(_sun.after(_start_j, 0.0, hour * 3600.0, _draw_w) for hour in range(25))
    _pixels_kb = 224 * 224 * 3 * 4 / 1e3
    exercises = [
        (
            "A radio draws 1.2 W, the cell has 20 Mbit/s. Up to how many bytes does sending a frame"
            " save energy?",
            f"$1.2 \\cdot 8B / C = E_\\text{{compute}}$ at $B$ = **{_most_bytes / 1e3:.0f} kB**. A"
            " JPEG of 60 kB is far below; the same picture as raw numbers (224 x 224 x 3 floats,"
            f" {_pixels_kb:.0f} kB) is above.",
        ),
        (
            "A frame every 20 s: how many times as many joules does lte take for it as computing?",
            f"{_lte:.1f} J against {_local:.2f} J (the figure's bars): **{_lte / _local:.0f} times**."
            " Nearly all of it is the tail.",
        ),
        (
            "What peak must a panel have so that the computing camera could live off it, with a"
            " battery that is large enough? And how large is that at the least?",
            f"It draws {1e3 * _draw_w:.0f} mW. A panel gives $1/\\pi$ of its peak on average, so the"
            f" peak must be at least $\\pi$ times the draw: **{1e3 * _peak_w:.0f} mW**. With it the"
            f" charge after a day is where it was ({_end_j / 3600:.2f} of {_start_j / 3600:.2f} Wh,"
            f" by `Battery.after`), and in between it swings by **{(_top_j - _low_j) / 3600:.2f}"
            " Wh**: more than the 0.6 Wh of this lesson. A panel alone does not bring anybody"
            " through the night.",
        ),
    ]
    mo.accordion({question: mo.md(answer) for question, answer in exercises})
    return (exercises,)


if __name__ == "__main__":
    app.run()
