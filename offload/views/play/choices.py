"""What may be chosen on the playground's page, and how things are called and coloured there."""

from functools import cache
from typing import Any, get_args

from offload.scenario.links import RadioName
from offload.views.palette import LEG_COLOURS
from offload.views.play.answers import LEGS
from offload.views.play.settings import SLIDERS, Settings
from offload.views.play.situation import catalogue, known_on
from offload.world.radio.presets import PRESETS

# A leg has its colour everywhere; waiting, which other views count to its leg, has that of deciding.
_COLOURS = {"device": 1, "uplink": 2, "edge": 3, "downlink": 6, "wait": 0}


@cache
def choices() -> dict[str, Any]:
    """Return the controls with what each may say, and legs with their colours.

    A variant `runs_on` the hardware on which somebody knows what it takes.
    """
    known = catalogue()
    return {
        "start": Settings().model_dump(),
        "networks": {
            model: {variant.name: list(known_on(variant)) for variant in known.variants(model)}
            for model in known.models
        },
        "hardware": known.hardware_names,
        "radios": {name: PRESETS[name].bandwidth_hz.value for name in get_args(RadioName)},
        "sliders": [
            {
                "name": name,
                "group": slider.group,
                "label": slider.label,
                "says": slider.says,
                "values": slider.values,
                "texts": [slider.show(value) for value in slider.values],
            }
            for name, slider in SLIDERS.items()
        ],
        "legs": [{"name": leg, "colour": LEG_COLOURS[_COLOURS[leg]]} for leg in LEGS],
    }
