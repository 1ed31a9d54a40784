"""What a scenario file may say of a task: when it is born, how large it is, which networks it needs."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from offload.scenario.fields import (
    Confidence,
    LongTime,
    Name,
    Range,
    Size,
    Table,
    Time,
    Variation,
)

MOST_CROPS = 100
MOST_STAGES = 10


class Input(Table):
    """The bytes of an input: `"60 kB"` for all, or a table that says how they are drawn."""

    alone: ClassVar[str | None] = "mean"

    distribution: Literal["constant", "log-normal", "uniform"] = "constant"
    """How sizes are drawn: all the same, or anew for each request, the same under every policy."""
    mean: Size | None = None
    """The size of all inputs, or of log-normal ones the mean before `min` and `max` bound them."""
    cv: Variation | None = None
    """Of log-normal sizes: their standard deviation over their mean."""
    min: Size | None = None
    """The smallest input; what a log-normal draw puts below is raised to it."""
    max: Size | None = None
    """The largest input; what a log-normal draw puts above is lowered to it."""

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, given: object) -> object:
        return given if isinstance(given, dict) else {cls.alone: given}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        needs = {"constant": {"mean"}, "log-normal": {"mean", "cv"}, "uniform": {"min", "max"}}
        may = {"min", "max"} if self.distribution == "log-normal" else set()
        given = {key for key in ("mean", "cv", "min", "max") if getattr(self, key) is not None}
        needed = needs[self.distribution]
        other = f'has no meaning where distribution = "{self.distribution}"'
        _refuse((key, other) for key in sorted(given - needed - may))
        _refuse((key, "missing; it must be given") for key in sorted(needed - given))
        low, high = self.min or 0.0, self.max if self.max is not None else float("inf")
        if low > high:
            _refuse([("min", "is more than max")])
        if self.mean is not None and not low <= self.mean <= high:
            _refuse([("mean", "must lie between min and max")])
        return self

    @property
    def mean_bytes(self) -> float:
        """The mean before bounds."""
        return self.mean if self.mean is not None else ((self.min or 0.0) + (self.max or 0.0)) / 2


class SceneTable(Table):
    """Other devices that are near: those of some groups, within a distance, when a request is born."""

    groups: Annotated[list[Name], Field(min_length=1, max_length=100, examples=[["car"]])]
    """The groups of devices that are looked for; a device does not see itself."""
    within: Range
    """How far away a device may be to be in view."""


class Objects(SceneTable):
    """What each device in view adds to the input."""

    per_object: Size
    """The bytes that each device in view adds to the input."""


class Crops(Table):
    """How many crops of each frame a stage is asked about: `3` for all, or a table.

    `mean` of a Poisson distribution, or one crop for each device in the `scene`; at most `max`.
    """

    alone: ClassVar[str | None] = "exactly"

    exactly: Annotated[int, Field(ge=1, le=MOST_CROPS)] | None = None
    """The same number of crops for every frame."""
    mean: Annotated[float, Field(gt=0, le=MOST_CROPS, strict=False, allow_inf_nan=False)] | None = None
    """The mean of a Poisson distribution of crops, before `max` bounds it; needs `max`."""
    scene: SceneTable | None = None
    """One crop for each device in view instead; needs `max`."""
    max: Annotated[int, Field(ge=1, le=MOST_CROPS)] | None = None
    """The most crops that a frame may have; belongs to `mean` or `scene`."""

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, given: object) -> object:
        return given if isinstance(given, dict) else {cls.alone: given}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        given = [key for key in ("exactly", "mean", "scene") if getattr(self, key) is not None]
        if len(given) != 1:
            _refuse([(given[1] if given else "mean", "give either mean or scene, and max with it")])
        if (self.max is None) != (self.exactly is not None):
            _refuse([("max", "belongs to mean or scene, which need it")])
        if self.mean is not None and self.max is not None and self.mean > self.max:
            _refuse([("mean", "is more than max")])
        return self

    @property
    def at_most(self) -> int:
        """The largest count."""
        return self.exactly or self.max or 0


class Inference(Table):
    """What is asked of one network.

    Besides raw values, `codecs` may code what leaves the device; besides running to the end, networks
    with exits may leave early if they are as sure as one of `confidences`.
    """

    models: Annotated[list[Name], Field(min_length=1, max_length=100, examples=[["mobilenetv2"]])] | None
    """The interchangeable networks that can answer, by name; `offload models` lists those that ship. A
    task with `stages` leaves it to them."""
    variants: Annotated[list[Name], Field(min_length=1, examples=[["int8"]])] | None = None
    """The forms of these networks that may be used, like "fp32" or "int8". Not given: all there are."""
    input: Input | None
    """The bytes of an input as it leaves the device uncut: the encoded image, say. A plain size, or a
    table that says how sizes are drawn. A task with `stages` leaves it to them."""
    scene: Objects | None = None
    """Lets each other device in view add to the bytes of the input."""
    result: Size | None = None
    """The bytes of an answer on its way back. Not given: the size of the network's last values."""
    private: bool = False
    """Whether raw input must stay on the device: no plan sends it, nor values that are only quantised
    or reshaped from it."""
    codecs: Annotated[list[str], Field(max_length=20, examples=[["uint8+zstd"]])] = []
    """The codecs that policies may use, besides raw values, at the cut where a request leaves the
    device. `offload codecs` measures them; of shipped networks `fashion-cnn` has some."""
    confidences: Annotated[list[Confidence], Field(max_length=20, examples=[[0.8, 0.9]])] = []
    """Of networks with exits: how sure an exit must be (0 to 1) for a request to leave there. Policies
    choose among these, or run the network to its end."""


class Stage(Inference):
    """One network of several that a frame needs: after which others, and for how many crops."""

    models: Annotated[list[Name], Field(min_length=1, max_length=100, examples=[["mobilenetv2"]])]
    """The interchangeable networks that can answer in this stage."""
    input: Input
    """The bytes of this stage's input: of the frame, or of one crop."""
    after: Annotated[list[Name], Field(max_length=MOST_STAGES, examples=[["detect"]])] = []
    """The stages above this one that must have ended before it begins."""
    count: Crops = Crops.model_construct(exactly=1)
    """How many crops of a frame this stage is asked about: a whole number, or a table."""

    @model_validator(mode="after")
    def _begins(self) -> Self:
        if not self.after and self.count.exactly is None:
            _refuse([("count", "crops are found by a stage before; give after, or a whole number")])
        return self


class State(Table):
    """A state of arrivals that come and go: the mean gap (none: silence), and the mean stay."""

    every: Annotated[LongTime, Field(examples=["5 s"])] | None = None
    """The mean gap between births while in this state. Not given: nothing is born in it."""
    stay: Annotated[LongTime, Field(examples=["60 s"])]
    """The mean time in this state, exponential; any of the other states, equally likely, comes next."""


# What only holds for some tasks, as JSON Schema says it; the validators below say the rest.
_NEEDED: dict[str, Any] = {
    "allOf": [
        {"anyOf": [{"required": ["stages"]}, {"required": ["models", "input"]}]},
        {
            "anyOf": [
                {"required": ["every"]},
                {"required": ["arrivals"], "properties": {"arrivals": {"enum": ["mmpp", "trace"]}}},
            ]
        },
    ]
}


class Task(Inference):
    """What a device wants answered again and again, by one network or in several `stages`."""

    model_config = ConfigDict(json_schema_extra=_NEEDED)

    every: Annotated[LongTime, Field(examples=["200 ms"])] | None
    """From one birth to the next: exactly if periodic, in the mean if Poisson, within bursts if on-off.
    Left out where `arrivals` is "mmpp" or "trace"."""
    arrivals: Literal["periodic", "poisson", "on-off", "mmpp", "trace"] = "periodic"
    """How requests are born: at regular times from a random phase; at random; regularly in bursts; at
    random with a rate that switches between `states`; or when a file of `births` says."""
    jitter: Time = 0.0
    """By how much a periodic birth may be late, uniformly from 0; at most `every`."""
    on: Annotated[LongTime, Field(examples=["10 s"])] | None = None
    """The mean length of a burst (exponential), where `arrivals` is "on-off"."""
    off: Annotated[LongTime, Field(examples=["60 s"])] | None = None
    """The mean length of the silence between bursts (exponential), where `arrivals` is "on-off"."""
    states: Annotated[list[State], Field(min_length=2, max_length=100)] | None = None
    """The states that births switch between, where `arrivals` is "mmpp"."""
    births: Annotated[str | None, Field(examples=["births.csv"])] = None
    """A CSV file beside the scenario with columns time (seconds) and, for several devices, device, where
    `arrivals` is "trace"."""
    repeat: Annotated[LongTime, Field(examples=["60 s"])] | None = None
    """After how long the trace of births begins again. Not given: it is used once."""
    streams: Annotated[int, Field(ge=1, le=1000)] = 1
    """How many such sources each device has: six for six cameras on one computer."""
    deadline: Annotated[LongTime, Field(examples=["150 ms"])]
    """How long after its birth an answer is of use. `useful` and `on time` count against it."""
    late: Literal["drop", "finish"] = "drop"
    """What becomes of a request past its deadline: dropped at the moment when a server or an uplink
    would begin it, or finished all the same."""
    priority: Annotated[int, Field(ge=0, le=9)] = 0
    """The larger goes first at nodes with `queue = "priority"`."""
    retries: Annotated[int, Field(ge=0, le=100)] = 0
    """How often the policy is asked again about a request that failed because a node was down or turned
    it away, or because no cell was in reach."""
    retry_after: Time = 0.05
    """How long after a failure it is asked again, or the device begins as `fallback` says."""
    fallback: Literal["device"] | None = None
    """With "device" the device computes all itself once a request has failed for one of those causes and
    no retry is left. Not given: the request is lost."""
    stages: Annotated[dict[Name, Stage], Field(min_length=1, max_length=MOST_STAGES)] = {}
    """The networks that a frame needs one after the other: detect, then classify each crop. Each is
    asked about; a frame is right if all its stages are, and its deadline holds for all together."""

    @model_validator(mode="before")
    @classmethod
    def _not_missing(cls, given: Any) -> Any:  # noqa: ANN401 - whatever a file holds there
        """Let a task leave out what its stages say, or its arrivals have no use for."""
        if not isinstance(given, dict):
            return given
        absent = ["models", "input"] if "stages" in given else []
        absent += ["every"] if given.get("arrivals") in ("mmpp", "trace") else []
        return dict.fromkeys(absent) | given

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.every is not None and self.jitter > self.every:
            msg = "jitter: is longer than every; births would overtake each other"
            raise ValueError(msg)
        given = [key for key in ("on", "off") if getattr(self, key) is not None]
        if len(given) != 2 * (self.arrivals == "on-off"):
            key = given[0] if given else "arrivals"
            msg = f'{key}: on and off belong to arrivals = "on-off", which needs both'
            raise ValueError(msg)
        if self.jitter and self.arrivals != "periodic":
            msg = f'jitter: belongs to arrivals = "periodic", not "{self.arrivals}"'
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _of_its_arrivals(self) -> Self:
        for key, kind in (("states", "mmpp"), ("births", "trace")):
            if (getattr(self, key) is not None) != (self.arrivals == kind):
                where = key if self.arrivals != kind else "arrivals"
                _refuse([(where, f'{key} belongs to arrivals = "{kind}", which needs it')])
        if self.repeat is not None and self.births is None:
            _refuse([("repeat", 'belongs to arrivals = "trace"')])
        if self.every is not None and self.arrivals in ("mmpp", "trace"):
            _refuse([("every", f'has no meaning where arrivals = "{self.arrivals}"; leave it out')])
        if self.states is not None and all(state.every is None for state in self.states):
            _refuse([("states", "nothing is ever born; give every in one of them at least")])
        if self.births is not None and self.streams > 1:
            _refuse([("streams", 'must be 1 where arrivals = "trace": it says when, not for which')])
        return self

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        """Check that a stage comes after stages that are declared above it: so there is no circle."""
        if not self.stages:
            return self
        own = set(Inference.model_fields) & self.model_fields_set
        own -= {key for key in ("models", "input") if getattr(self, key) is None}
        _refuse((key, "each stage has its own; write it there") for key in sorted(own))
        above: list[str] = []
        for name, stage in self.stages.items():
            for number, other in enumerate(stage.after):
                if other not in above or other in stage.after[:number]:
                    there = f"above it there is {', '.join(above)}" if above else "it is the first"
                    what = f"must name other stages that stand above this one, once; {there}"
                    _refuse([(f"stages.{name}.after.{number}", what)])
            above.append(name)
        return self

    @property
    def networks(self) -> tuple[tuple[str | None, Stage], ...]:
        """The stages and their names, or the one network that is all that the task needs, and None."""
        if self.stages:
            return tuple(self.stages.items())
        asked = {key: getattr(self, key) for key in Inference.model_fields}
        return ((None, Stage.model_construct(**asked)),)

    @property
    def rate_hz(self) -> float:
        """Births a second and source, at most about; those of a trace are counted elsewhere."""
        if self.states is not None:
            stays_s = sum(state.stay for state in self.states)
            return sum(state.stay / state.every for state in self.states if state.every) / stays_s
        return 1 / self.every if self.every else 0.0

    @property
    def rows(self) -> int:
        """Rows that a birth may make: one, or one and those of its stages."""
        return 1 + sum(stage.count.at_most for stage in self.stages.values())

    @property
    def spells_hz(self) -> float:
        """How often a source's on and off, or its states, change in a second."""
        if self.states is not None:
            return len(self.states) / sum(state.stay for state in self.states)
        return 1 / (self.on + self.off) if self.on is not None and self.off is not None else 0.0


def _refuse(faults: Any) -> None:  # noqa: ANN401 - any iterable of pairs
    """Raise the first of some faults, pairs of a key and what to write instead."""
    for key, what in faults:
        msg = f"{key}: {what}"
        raise ValueError(msg)
