"""Networks rebuilt: narrower, separable, with exits, with a bottleneck."""

import copy

import pytest
import torch
from torch import nn

from offload.dnn import small, structure
from offload.dnn.graph import capture
from offload.dnn.structure import StructureError

EXAMPLE = torch.zeros(1, *small.INPUT_SHAPE)


def noise(batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, *small.INPUT_SHAPE, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def network() -> nn.Module:
    """The small network with random weights."""
    torch.manual_seed(0)
    return small.build().eval()


def widths(network: nn.Module) -> list[int]:
    return [layer.out_channels for layer in network.modules() if isinstance(layer, nn.Conv2d)]


def test_places_are_the_stages_with_the_work_done_by_then(network: nn.Module) -> None:
    found = structure.places(network, EXAMPLE)
    assert [place.path for place in found] == [
        f"features.{name}" for name in ("stem", "stage1", "stage2", "stage3")
    ]
    assert [place.channels for place in found] == [16, 16, 32, 64]
    stem, stage1 = 9 * 16 * 28 * 28, 2 * 9 * 16 * 16 * 28 * 28
    total = 16_571_264
    assert found[1].done == pytest.approx((stem + stage1) / total)
    assert found[3].done == pytest.approx(1 - 640 / total)


def test_nearest_stages_are_different_and_in_order(network: nn.Module) -> None:
    found = structure.nearest(network, EXAMPLE, (0.6, 0.61))
    assert [place.path for place in found] == ["features.stage1", "features.stage2"]
    with pytest.raises(StructureError, match="Linear: no chain of 2 stages"):
        structure.nearest(nn.Linear(28, 2), EXAMPLE, (0.3, 0.6))


def test_pruning_takes_that_share_of_every_layer_but_the_classes(network: nn.Module) -> None:
    before = widths(network)
    pruned = structure.pruned(network, 0.5, EXAMPLE)
    assert widths(pruned) == [each // 2 for each in before]
    assert pruned(noise()).shape == (2, 10)
    # Channels that are added to each other went together, the least in norm first.
    assert pruned.get_submodule("output").in_features == 32


def test_a_network_takes_the_widths_of_weights(network: nn.Module) -> None:
    pruned = structure.pruned(network, 0.25, EXAMPLE).eval()
    state = pruned.state_dict()
    rebuilt = structure.fitted(small.build(), {name: each.shape for name, each in state.items()}).eval()
    rebuilt.load_state_dict(state)
    assert torch.equal(rebuilt(noise()), pruned(noise()))


def test_depthwise_convolutions_keep_a_group_a_channel() -> None:
    depthwise = nn.Sequential(nn.Conv2d(8, 8, 3, groups=8))
    fitted = structure.fitted(depthwise, {"0.weight": (5, 1, 3, 3)})[0]
    assert (fitted.groups, fitted.in_channels, fitted.out_channels) == (5, 5, 5)
    with pytest.raises(StructureError, match=r"0: a Conv2d cannot take weights of shape \(5, 1\)"):
        structure.fitted(depthwise, {"0.weight": (5, 1)})


def test_renewed_weights_are_others(network: nn.Module) -> None:
    before = network.get_parameter("output.weight").clone()
    assert not torch.equal(structure.renewed(network).get_parameter("output.weight"), before)


def test_separable_convolutions_have_the_parameters_of_the_formula(network: nn.Module) -> None:
    before = network(noise()).shape
    separable = structure.separable(network).eval()
    assert separable(noise()).shape == before
    block = separable.get_submodule("features.stage2.0.conv1")
    assert sum(each.numel() for each in block.parameters()) == 9 * 16 + 2 * 16 + 16 * 32
    assert structure.last_layer(separable) == "output"
    assert len(separable.get_submodule("features.stem")) == 3  # one channel has nothing to divide


def test_new_classes_replace_the_last_layer(network: nn.Module) -> None:
    assert structure.with_classes(network, 3)(noise()).shape == (2, 3)
    convolution = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 10, 1, bias=False), nn.AdaptiveAvgPool2d(1)
    )
    assert structure.with_classes(convolution, 4)(noise()).shape == (2, 4, 1, 1)
    with pytest.raises(StructureError, match="Identity: no linear layer"):
        structure.with_classes(nn.Identity(), 3)


def test_what_crosses_a_bottleneck_is_its_few_maps(network: nn.Module) -> None:
    narrow = structure.with_bottleneck(network, "features.stage2", 1, 32).eval()
    assert narrow(noise()).shape == (2, 10)
    least = min(cut.payload_bytes for cut in capture(narrow, (EXAMPLE,)).cuts[1:-2])
    assert least == 1 * 14 * 14 * 4


def test_exits_answer_before_the_end_and_do_not_change_it(network: nn.Module) -> None:
    end = network(noise())
    exits = structure.with_exits(network, 10, "features.stage1", 16, "features.stage2", 32).eval()
    early, later, last = exits(noise())
    assert torch.equal(last, end)
    assert early.shape == later.shape == (2, 10)
    by_hand = exits.heads[0](network.features.stage1.stage(network.features.stem(noise())))
    assert torch.equal(early, by_hand)
    other = copy.deepcopy(exits)
    with torch.no_grad():
        other.heads[0][-1].bias.fill_(7)
    assert not torch.equal(other(noise())[0], early)
    assert torch.equal(exits(noise())[0], early)


def test_exits_are_captured_in_the_order_in_which_they_are_known(network: nn.Module) -> None:
    exits = structure.with_exits(network, 10, "features.stage1", 16, "features.stage2", 32).eval()
    with torch.inference_mode():
        graph = capture(exits, (noise(1),))
        for _ in range(2):  # capturing left the network as it was
            assert all(map(torch.equal, graph.module(noise(1)), exits(noise(1))))
    linear = [number for number, layer in enumerate(graph.layers) if layer.kind == "linear"]
    assert len(linear) == 3
    work = [sum(layer.flops for layer in graph.layers[:number]) for number in (*linear, None)]
    assert work[0] < 0.3 * work[-1] < work[1] < 0.7 * work[-1]


def test_a_run_that_failed_leaves_no_answers(network: nn.Module) -> None:
    exits = structure.with_exits(network, 10, "features.stage1", 16).eval()
    network.output = nn.Linear(1, 1)
    with pytest.raises(RuntimeError):
        exits(noise())
    network.output = nn.Linear(64, 10)
    assert len(exits(noise())) == 2
