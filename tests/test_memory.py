"""A node's memory against a list that is searched from one end to the other."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from offload.scenario.catalogue import Catalogue
from offload.simulation.memory import Memory
from tests import hand_made

SIZES = {"a": 30.0, "b": 50.0, "c": 20.0, "d": 70.0, "e": 100.0}
USES = st.lists(
    st.tuples(st.sampled_from("abcde"), st.floats(0, 2), st.booleans()), min_size=1, max_size=60
)


class ByHand:
    """A list of (label, when it is there), the least recently used first; and who is used how often."""

    def __init__(self, size, held):
        self.size = size
        self.held = [(label, 0.0) for label in held]
        self.in_use = []
        self.loading_until_s = 0.0

    def take(self, label, now):
        """Use a label; load it first if it is not there."""
        there = [entry for entry in self.held if entry[0] == label]
        if there:
            self.held = [entry for entry in self.held if entry[0] != label] + there
        else:
            left = list(self.held)
            while sum(SIZES[each] for each, _ in left) + SIZES[label] > self.size:
                unused = [entry for entry in left if entry[0] not in self.in_use]
                if not unused:
                    return None
                left.remove(unused[0])
            begins_s = max(now, self.loading_until_s)
            self.loading_until_s = begins_s + SIZES[label] / 100
            self.held = [*left, (label, self.loading_until_s)]
        self.in_use.append(label)
        return max(now, self.held[-1][1])


@settings(max_examples=400, deadline=None, derandomize=True)
@given(uses=USES, size=st.sampled_from([100.0, 120.0, 180.0]), held=st.sets(st.sampled_from("abc")))
def test_memory_is_the_list_searched_by_hand(uses, size, held):
    held = sorted(held)
    memory, brute = Memory(size, 800.0, SIZES, held), ByHand(size, held)
    now = 0.0
    for label, gap_s, ends in uses:
        now += gap_s
        assert (memory.seconds(label) == 0) == (label in [each for each, _ in brute.held])
        assert memory.take(label, now) == brute.take(label, now)
        assert list(memory.there_s.items()) == brute.held
        assert memory.free_bytes == size - sum(SIZES[each] for each, _ in brute.held) >= 0
        if ends and brute.in_use:
            memory.release(brute.in_use.pop(0))


def test_weights_are_parameters_in_the_type_of_their_precision():
    known = {
        v.label: v.weight_bytes
        for name in ("resnet50", "fashion-cnn")
        for v in Catalogue().variants(name)
    }
    assert known["resnet50:fp32"] == 4 * 25_557_032
    assert known["resnet50:int8"] == 25_530_472
    assert known["fashion-cnn:bf16"] == 2 * 170_298
    # The peak of the whole network holds them, and values besides.
    for variant in Catalogue().variants("fashion-cnn"):
        assert 0 < variant.weight_bytes < variant.cuts[-1].before_bytes


def test_weights_that_a_scenario_states_or_that_nobody_knows():
    assert hand_made.variant([1, 2], stated_bytes=5.0).weight_bytes == 5.0
    assert hand_made.variant([1, 2]).weight_bytes is None  # no parameters are known
    layers = (hand_made.layer(parameters=10),)
    assert replace(hand_made.variant([1, 2]), layers=layers).weight_bytes == 40
    assert replace(hand_made.variant([1, 2], "odd"), layers=layers).weight_bytes is None


def test_what_is_in_use_does_not_make_way():
    memory = Memory(100, 8.0, SIZES)
    assert memory.take("a", 0.0) == 30.0
    assert memory.take("b", 0.0) == 80.0  # after the first
    assert memory.take("d", 90.0) is None
    assert set(memory.there_s) == {"a", "b"}  # nothing was forgotten in vain
    memory.release("b")
    assert memory.take("d", 90.0) == 160.0
    assert set(memory.there_s) == {"a", "d"}
