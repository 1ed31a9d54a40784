"""Smaller numbers: what rounding to 4 bits loses, what masks leave, and that packing undoes itself."""

import pytest
import torch
from torch import nn

from offload.dnn import compress


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("shape", [(3, 5), (4, 2, 3, 3), (1, 1)])
def test_nibbles_are_fifteen_values_a_channel(shape: tuple[int, ...]) -> None:
    weight = noise(*shape)
    pairs, scale = compress.nibbles(weight)
    back = compress.from_nibbles(pairs, scale, shape)
    assert back.shape == weight.shape
    assert pairs.numel() == (weight.numel() + 1) // 2
    for row, step in zip(back, scale, strict=True):
        whole = row / step
        assert torch.allclose(whole, whole.round(), atol=1e-5)
        assert whole.abs().max() <= 7.001


def test_nibbles_lose_no_more_than_rounding_to_the_largest_would() -> None:
    weight = noise(8, 100)
    weight[0, 0] = 30  # one far weight spoils the plain scale
    back = compress.from_nibbles(*compress.nibbles(weight), weight.shape)
    scale = weight.abs().amax(1, keepdim=True) / 7
    plain = (weight / scale).round() * scale
    better = (weight - back).square().sum(1) <= (weight - plain).square().sum(1) + 1e-6
    assert better.all()
    exact = torch.tensor([[-7.0, 3.0, 0.0, 1.0]])
    assert torch.allclose(compress.from_nibbles(*compress.nibbles(exact), exact.shape), exact, atol=1e-6)
    nothing = torch.zeros(2, 3)
    assert torch.equal(compress.from_nibbles(*compress.nibbles(nothing), (2, 3)), nothing)


def test_int4_leaves_the_first_layer_and_the_original() -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.LazyLinear(2)
    )
    network(noise(1, 1, 6, 6))
    before = [layer.weight.clone() for _, layer in compress.heavy(network)]
    after = [layer.weight for _, layer in compress.heavy(compress.int4(network))]
    assert [torch.equal(a, b) for a, b in zip(before, after, strict=True)] == [True, False, False]
    assert all(
        torch.equal(a, layer.weight)
        for a, (_, layer) in zip(before, compress.heavy(network), strict=True)
    )


def test_masks_leave_out_the_least_of_all_weights() -> None:
    network = nn.Sequential(nn.Linear(10, 10), nn.Linear(10, 10))
    with torch.no_grad():
        network[0].weight.mul_(0.001)  # the first layer is nearly nothing
    masks = compress.smallest_masked(network, 0.6)
    assert (int(masks["0"].sum()), int(masks["1"].sum())) == (0, 80)
    compress.apply_masks(network, masks)
    assert int(network[1].weight.count_nonzero()) == 80
    assert network[0].bias.count_nonzero() == 10


@pytest.mark.parametrize("size", [10, 70_000])
def test_nonzeros_come_back(size: int) -> None:
    weight = noise(size, 1) * (noise(size, 1) > 0)
    index, value = compress.nonzeros(weight)
    assert len(index) == len(value) == int(weight.count_nonzero())
    assert index.element_size() == (2 if size < 1 << 16 else 4)
    assert torch.equal(compress.from_nonzeros(index, value, weight.shape), weight)


def test_bf16_takes_and_gives_fp32() -> None:
    network = nn.Linear(4, 2)
    made = compress.bf16(network)
    assert made(noise(3, 4)).dtype == network.weight.dtype == torch.float32
    assert torch.allclose(made(noise(3, 4)), network(noise(3, 4)), atol=0.05)
