"""What a scenario's tables say of each other and of files: do the names stand for something?"""

from collections.abc import Iterator

from offload.networks import Variant
from offload.planning.columns import columns
from offload.planning.validity import fits
from offload.scenario.catalogue import Catalogue
from offload.scenario.faults import Fault, Key, near
from offload.scenario.schema import ScenarioFile
from offload.scenario.setup import Setting, candidates
from offload.scenario.tasks import SceneTable, Stage


def check_names(file: ScenarioFile, catalogue: Catalogue) -> list[Fault]:
    """Check that every name that a table mentions stands for something."""
    return [
        *_wrong_hardware(file, catalogue),
        *_wrong_models(file, catalogue),
        *_wrong_scenes(file),
        *_wrong_links(file),
        *_cut_off(file),
        *_wrong_faults(file),
        *_wrong_machines(file),
    ]


def _wrong_hardware(file: ScenarioFile, catalogue: Catalogue) -> Iterator[Fault]:
    named: list[tuple[Key, str]] = [
        *((("devices", name, "hardware"), table.hardware) for name, table in file.devices.items()),
        *((("nodes", name, "hardware"), table.hardware) for name, table in file.nodes.items()),
    ]
    for model, inline in file.models.items():
        for variant, given in inline.variants.items():
            named += [
                (("models", model, "variants", variant, "costs", hardware), hardware)
                for hardware in given.costs
            ]
    for key, name in named:
        if name not in catalogue.hardware_names:
            yield key, near(name, catalogue.hardware_names, "hardware")
    for name, table in file.hardware.items():
        for number, latency in enumerate(table.latencies):
            if latency.model not in catalogue.models:
                place: Key = ("hardware", name, "latencies", number, "model")
                yield place, near(latency.model, catalogue.models, "model")


def _networks(file: ScenarioFile) -> Iterator[tuple[Key, Stage]]:
    """Yield what is asked of each network, and where that stands."""
    for group, devices in file.devices.items():
        for name, task in devices.tasks.items():
            for stage, asked in task.networks:
                yield ("devices", group, "tasks", name, *(("stages", stage) if stage else ())), asked


def _wrong_models(file: ScenarioFile, catalogue: Catalogue) -> Iterator[Fault]:
    for key, task in _networks(file):
        unknown = [
            ((*key, "models", number), near(model, catalogue.models, "model"))
            for number, model in enumerate(task.models)
            if model not in catalogue.models
        ]
        yield from unknown
        if not unknown:
            known = sorted({v.name for model in task.models for v in catalogue.variants(model)})
            for number, variant in enumerate(task.variants or ()):
                if variant not in known:
                    yield (*key, "variants", number), near(variant, known, "variant")
            yield from _wrong_offers(key, task, candidates(task, catalogue))


def _wrong_scenes(file: ScenarioFile) -> Iterator[Fault]:
    for key, task in _networks(file):
        scenes: list[tuple[Key, SceneTable | None]] = [
            ((*key, "scene"), task.scene), ((*key, "count", "scene"), task.count.scene)
        ]  # fmt: skip
        for where, scene in scenes:
            for number, group in enumerate(scene.groups if scene else ()):
                if group not in file.devices:
                    yield (*where, "groups", number), near(group, file.devices, "device group")


def _wrong_offers(key: Key, task: Stage, variants: list[Variant]) -> Iterator[Fault]:
    """Check that codecs and exits were measured, and answers on the same images."""
    known = sorted({codec for variant in variants for codec, _ in variant.codecs})
    for number, codec in enumerate(task.codecs):
        if codec not in known:
            yield (*key, "codecs", number), near(codec, known, "codec")
    if task.confidences and not any(variant.leaves_early for variant in variants):
        what = "none of its networks has exits; leave it out, or choose variants that may leave early"
        yield (*key, "confidences"), what
    data: dict[tuple[str, int], str] = {}
    for variant in variants:
        for answers in variant.answers.values():
            data.setdefault((answers.data, answers.images), variant.label)
    if len(data) > 1:
        told = ", ".join(f'{label}: {n} of "{name}"' for (name, n), label in data.items())
        what = (
            f"answers were measured on different images ({told}), but one image stands for a request"
            " under every variant; choose variants with answers to the same ones"
        )
        yield (*key, "models"), what


def _wrong_links(file: ScenarioFile) -> Iterator[Fault]:
    for name, link in file.links.items():
        if link.to not in file.nodes:
            yield ("links", name, "to"), near(link.to, file.nodes, "node")
        if link.is_cell:
            for user in [link.from_] if isinstance(link.from_, str) else link.from_:
                if user != "*" and user not in file.devices:
                    yield ("links", name, "from"), near(user, file.devices, "device group")
        elif link.from_ not in file.nodes:
            yield ("links", name, "from"), near(str(link.from_), file.nodes, "node")
        elif link.from_ == link.to:
            yield ("links", name, "to"), "a wire must lead to another node"


def _wrong_faults(file: ScenarioFile) -> Iterator[Fault]:
    known = [*file.nodes, *file.links]
    for name, fault in file.faults.items():
        for number, thing in enumerate(fault.of):
            if thing not in known:
                yield ("faults", name, "of", number), near(thing, known, "node or link")
            elif thing in file.nodes and thing in file.links:
                what = f'"{thing}" is a node and a link; give one of them another name'
                yield ("faults", name, "of", number), what


def _wrong_machines(file: ScenarioFile) -> Iterator[Fault]:
    taken: dict[str, str] = {}
    for name, machine in file.machines.items():
        for number, place in enumerate(machine.of):
            key: Key = ("machines", name, "of", number)
            if place not in file.devices and place not in file.nodes:
                yield key, near(place, [*file.devices, *file.nodes], "device group or node")
            elif place in file.devices and place in file.nodes:
                what = f'"{place}" is a device group and a node; give one of them another name'
                yield key, what
            elif taken.setdefault(place, name) != name:
                yield key, f'"{place}" is on the machine "{taken[place]}"; a place is on one machine'
            elif place in file.devices and file.devices[place].battery is not None:
                what = f"a device with a battery must know what its work takes; leave {place} out"
                yield key, what


def _cut_off(file: ScenarioFile) -> Iterator[Fault]:
    """Check that what a device hands over half-way can get from each site to each other."""
    roaming = {name: link for name, link in file.links.items() if link.roams}
    wires = [{str(link.from_), link.to} for link in file.links.values() if not link.is_cell]
    for name, link in roaming.items():
        reached = {next(iter(roaming.values())).to}
        while new := {node for wire in wires if wire & reached for node in wire} - reached:
            reached |= new
        if link.to not in reached:
            first = next(iter(roaming))
            what = (
                f'no wires lead from {link.to} to {file.links[first].to}, the site of "{first}", which'
                " hands devices over too; add a link with a rate between them"
            )
            yield ("links", name, "radio" if link.radio else "handover"), what


def check_plans(setting: Setting) -> list[Fault]:
    """Refuse a device that has no plan at all for one of its tasks."""
    faults: list[Fault] = []
    for facts in setting.facts:
        if not any(columns(facts, cell).plans for cell in (None, *facts.cells)):
            key: Key = ("devices", facts.group, "tasks", facts.task)
            key += ("stages", facts.stage) if facts.stage else ()
            places = {"device": facts.hardware.name} | {
                n.name: n.hardware.name for n in facts.nodes.values()
            }
            what = (
                f"no plan: none of its networks has a profile where it could run"
                f" ({', '.join(f'{place}: {name}' for place, name in places.items())})"
            )
            faults.append((key, what))
        elif facts.fallback is not None and not facts.profiles["device"]:
            what = f"none of its networks has a profile on {facts.hardware.name}"
            faults.append((("devices", facts.group, "tasks", facts.task, "fallback"), what))
    return faults


def check_memory(setting: Setting) -> Iterator[Fault]:
    """Refuse what does not fit into a node's memory, and loading what nobody knows the size of."""
    for name, node in setting.nodes.items():
        sizes = {v.label: v.weight_bytes for facts in setting.facts for v in facts.profiles[name]}
        memory = f"its memory of {node.memory_bytes / 1e6:.4g} MB"
        asked = {variant for facts in setting.facts for variant in facts.variants}
        if not sizes and not any(fits(variant, node.memory_bytes) for variant in asked):
            what = f"none of the networks that are asked of it fits into {memory}"
            yield ("nodes", name, "memory"), what
        for label, size in sizes.items():
            if size is None and node.load_bps is not None:
                what = f"nobody knows the size of the weights of {label}; give weights beside its layers"
                yield ("nodes", name, "load"), what
        for number, label in enumerate(node.resident):
            if label not in sizes:
                yield ("nodes", name, "resident", number), near(label, sizes, "variant")
        held_bytes = sum(sizes.get(label) or 0.0 for label in node.resident)
        if held_bytes > node.memory_bytes:
            what = f"these take {held_bytes / 1e6:.4g} MB, which do not fit into {memory}"
            yield ("nodes", name, "resident"), what
