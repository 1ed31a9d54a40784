"""Codecs: what comes back, how far off it may be, and bytes that nobody wrote."""

import contextlib
import io
import struct
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from offload.dnn import codec, wire
from offload.dnn.codec import Codec, CodecError, decode, named
from offload.dnn.pictures import NORMAL
from offload.dnn.pixels import Pixels

PLAIN = (torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.uint8, torch.int8,
         torch.int16, torch.int32, torch.int64, torch.bool)  # fmt: skip
PACKINGS = ("", "+zstd", "+lz4")
IMAGENET, GREY = Pixels(*NORMAL[3]), Pixels(*NORMAL[1])

shapes = st.lists(st.integers(0, 5), max_size=5).map(tuple)


def same(one: Tensor, other: Tensor) -> bool:
    """Tell whether two tensors are alike bit by bit, and lie alike in memory."""
    if one.is_quantized:
        scales = one.q_scale() == other.q_scale() and one.q_zero_point() == other.q_zero_point()
        return scales and other.is_quantized and same(one.int_repr(), other.int_repr())
    alike = (one.dtype, one.shape) == (other.dtype, other.shape)
    return alike and bytes_of(one) == bytes_of(other)


def bytes_of(tensor: Tensor) -> bytes:
    return tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes()


def quantised(values: Tensor, dtype: torch.dtype = torch.quint8, zero: int = 3) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_tensor(values, 0.05, zero, dtype)


@st.composite
def any_tensors(draw: st.DrawFn) -> Tensor:
    """Tensors of any bits: also NaN, infinities and subnormals."""
    shape = draw(shapes)
    dtype = draw(st.sampled_from(PLAIN))
    size = int(np.prod(shape)) * dtype.itemsize
    raw = torch.tensor(list(draw(st.binary(min_size=size, max_size=size))), dtype=torch.uint8)
    tensor = (raw & 1 if dtype == torch.bool else raw).view(dtype).view(shape)
    if draw(st.booleans()) and len(shape) == 4:
        tensor = tensor.to(memory_format=torch.channels_last)
    return tensor.transpose(0, -1) if draw(st.booleans()) and shape else tensor


@given(st.lists(any_tensors(), max_size=4), st.sampled_from(PACKINGS))
def test_raw_comes_back_bit_by_bit(tensors: list[Tensor], packing: str) -> None:
    back = decode(named("raw" + packing).encode(tensors))
    assert len(back) == len(tensors)
    assert all(same(one, other) for one, other in zip(tensors, back, strict=True))


finite = st.floats(-(2.0**100), 2.0**100, width=32)


@given(
    st.sampled_from(["uint8", "uint8-channel"]), st.sampled_from(PACKINGS), st.booleans(),
    st.tuples(*[st.integers(1, 4)] * 4).flatmap(
        lambda shape: st.tuples(
            st.just(shape), st.lists(finite, min_size=int(np.prod(shape)), max_size=int(np.prod(shape)))
        )
    ),
)  # fmt: skip
def test_uint8_is_off_by_half_a_step_at_most(
    form: str, packing: str, last: bool, made: tuple[tuple[int, ...], list[float]]
) -> None:
    values = torch.tensor(made[1]).view(made[0])
    if last:
        values = values.to(memory_format=torch.channels_last)
    (back,) = decode(named(form + packing).encode([values]))
    dims = (1, 2, 3) if form == "uint8" else (2, 3)
    low, high = values.amin(dims, keepdim=True).double(), values.amax(dims, keepdim=True).double()
    rounding = 4e-7 * torch.maximum(low.abs(), high.abs()) + 1e-36  # of 32-bit arithmetic
    assert (((back.double() - values.double()).abs()) <= (high - low) / 510 + rounding).all()
    assert back.stride() == values.stride()


def test_uint8_uses_all_its_levels_and_keeps_the_ends() -> None:
    values = torch.linspace(-3, 7, 1000).view(1, 10, 10, 10)
    (back,) = decode(named("uint8").encode([values]))
    assert len(back.unique()) == 256
    assert back.min() == -3
    assert back.max() == pytest.approx(7)


def test_scales_are_those_of_an_image_and_of_its_channels() -> None:
    images = torch.randn(3, 4, 5, 5, generator=torch.Generator().manual_seed(2))
    images *= torch.tensor([1.0, 10.0, 100.0]).view(3, 1, 1, 1)  # one scale would ruin the first
    for form in ("uint8", "uint8-channel", "fp16", "raw"):
        for some in (images, images.to(memory_format=torch.channels_last), images.flatten(2)):
            together = decode(named(form).encode([some]))[0]
            alone = [decode(named(form).encode([some[i : i + 1]]))[0] for i in range(3)]
            assert torch.equal(together, torch.cat(alone))


def test_uint8_of_a_channel_is_finer_where_channels_differ() -> None:
    tokens = torch.rand(2, 9, 4) * torch.tensor([1.0, 10.0, 100.0, 1000.0])  # channels last of three
    errors = {
        form: (decode(named(form).encode([tokens]))[0] - tokens)[..., 0].abs().max()
        for form in ("uint8", "uint8-channel")
    }
    assert errors["uint8-channel"] <= 1 / 510 + 1e-6 < 0.1 < errors["uint8"]


@given(st.floats(width=32))
@example(65519.0)
@example(1e-8)
def test_fp16_is_the_nearest_half_within_its_range(value: float) -> None:
    values = torch.tensor([value])
    (back,) = decode(named("fp16").encode([values]))
    expected = values.clamp(-65504, 65504).half().float()
    assert back.dtype == torch.float32
    assert same(back, expected)


@pytest.mark.parametrize("name", ["raw", "uint8", "uint8-channel+zstd", "fp16+lz4"])
@pytest.mark.parametrize("dtype", [torch.quint8, torch.qint8])
@pytest.mark.parametrize("last", [False, True])
def test_a_quantised_tensor_keeps_bits_scale_and_layout(
    name: str, dtype: torch.dtype, last: bool
) -> None:
    values = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    if last:
        values = values.to(memory_format=torch.channels_last)
    tensor = quantised(values, dtype)
    (back,) = decode(named(name).encode([tensor]))
    assert same(tensor, back)
    assert back.stride() == tensor.stride()


def test_a_tensor_quantised_by_channel_is_refused() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tensor = torch.quantize_per_channel(
            torch.ones(2, 2), torch.ones(2), torch.zeros(2, dtype=torch.long), 0, torch.qint8
        )
    with pytest.raises(CodecError, match="quantised by torch"):
        named("raw").encode([tensor])


def test_what_takes_how_many_bytes() -> None:
    values = torch.zeros(1, 16, 8, 8)
    sizes = {
        name: len(named(name).encode([values]))
        for name in ("raw", "fp16", "uint8", "uint8-channel", "uint8+zstd", "uint8+lz4")
    }
    head = 13 + 1 + 4 + 16
    assert sizes["raw"] == head + 4096
    assert sizes["fp16"] == head + 2048
    assert sizes["uint8"] == head + 8 + 1024
    assert sizes["uint8-channel"] == head + 16 * 8 + 1024
    assert max(sizes["uint8+zstd"], sizes["uint8+lz4"]) < 100


def test_several_tensors_cross_together_and_numbers_stay_exact() -> None:
    tensors = (torch.rand(1, 2, 3, 3), torch.arange(5), torch.tensor(True))
    back = decode(named("uint8").encode(tensors))
    assert (back[0] - tensors[0]).abs().max() <= 1 / 510 + 1e-6
    assert same(back[1], tensors[1])
    assert same(back[2], tensors[2])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 3e38])
def test_uint8_refuses_what_has_no_even_steps(value: float) -> None:
    with pytest.raises(CodecError, match="not finite, or too far apart"):
        named("uint8").encode([torch.tensor([value, -value])])


# Pictures


def photograph(channels: int, batch: int = 1) -> Tensor:
    """Return smooth 8-bit pixels, (batch, channels, 32, 48)."""
    ramp = torch.arange(48).view(1, 1, 1, 48) * 4 + torch.arange(32).view(1, 1, 32, 1)
    shift = torch.arange(batch).view(-1, 1, 1, 1) + 9 * torch.arange(channels).view(1, -1, 1, 1)
    return (ramp + shift).to(torch.uint8)


@pytest.mark.parametrize("pixels", [IMAGENET, GREY])
def test_png_brings_the_input_back_exactly(pixels: Pixels) -> None:
    images = pixels.to_input(photograph(len(pixels.mean), 2))
    message = named("png", pixels).encode([images])
    assert len(message) < images.numel()
    assert same(decode(message)[0], images)


@pytest.mark.parametrize("name", ["jpeg-90", "webp-80", "jpeg-75+zstd"])
@pytest.mark.parametrize("pixels", [IMAGENET, GREY])
def test_pictures_come_near(name: str, pixels: Pixels) -> None:
    images = pixels.to_input(photograph(len(pixels.mean), 2))
    (back,) = decode(named(name, pixels).encode([images]))
    assert back.shape == images.shape
    off = (pixels.from_input(back).int() - pixels.from_input(images).int()).abs().float()
    assert 0 < off.mean() < 4


def test_a_lower_quality_takes_fewer_bytes() -> None:
    noise = torch.randint(0, 256, (1, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    images = IMAGENET.to_input(noise)
    sizes = [len(named(f"jpeg-{quality}", IMAGENET).encode([images])) for quality in (30, 60, 90)]
    assert sizes == sorted(sizes)


def test_what_is_no_image_is_no_picture() -> None:
    png = named("png", IMAGENET)
    assert png.suits([torch.zeros(1, 3, 4, 4)])
    for tensor in (torch.zeros(1, 4), torch.zeros(1, 2, 4, 4)):
        assert not png.suits([tensor])
        with pytest.raises(CodecError, match="no image of known pixels"):
            png.encode([tensor])
    assert not named("png").suits([torch.zeros(1, 3, 4, 4)])


def test_a_form_suits_what_it_changes() -> None:
    eight = [quantised(torch.ones(1, 2))]
    assert [named(name).suits(eight) for name in ("raw+zstd", "fp16", "uint8+lz4")] == [
        True,
        False,
        False,
    ]
    assert named("uint8").suits([*eight, torch.ones(1)])


# Names


@pytest.mark.parametrize("form", ["raw", "fp16", "uint8", "uint8-channel", "png", "jpeg-75", "webp-100"])
@pytest.mark.parametrize("packing", PACKINGS)
def test_names_go_there_and_back(form: str, packing: str) -> None:
    assert named(form + packing).name == form + packing


@pytest.mark.parametrize(
    "name", ["", "uint9", "jpeg", "jpeg-0", "jpeg-101", "raw+gzip", "png-3", "raw+zstd+lz4"]
)
def test_unknown_names_are_refused(name: str) -> None:
    with pytest.raises(
        CodecError, match=f'^"{name.replace("+", ".")}": no codec of that name; write raw'
    ):
        named(name)


# Bytes that nobody wrote


# From a seed: processes that share the tests must find the same ones.
rand = partial(torch.rand, generator=torch.Generator().manual_seed(7))
MESSAGES = [
    named(name, IMAGENET).encode(tensors)
    for name, tensors in (
        ("raw", [torch.arange(12.0).view(1, 3, 4), torch.tensor([True])]),
        ("fp16+zstd", [torch.arange(12.0)]),
        ("uint8+lz4", [rand(1, 2, 3, 3)]),
        ("uint8-channel", [rand(1, 2, 3, 3).to(memory_format=torch.channels_last)]),
        ("raw", [quantised(rand(1, 4))]),
        ("png", [torch.zeros(1, 3, 4, 4)]),
        ("jpeg-75+zstd", [torch.zeros(1, 3, 9, 9)]),
        ("webp-80", [torch.zeros(1, 3, 9, 9)]),
    )
]


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_cut_short_anywhere_is_refused(message: bytes) -> None:
    for end in range(len(message)):
        with pytest.raises(CodecError):
            decode(message[:end])


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_with_more_behind_it_is_refused(message: bytes) -> None:
    with pytest.raises(CodecError):
        decode(message + b"\0")


@settings(max_examples=1000)
@given(st.sampled_from(MESSAGES), st.data())
def test_whatever_bytes_change_it_reads_them_or_says_no(message: bytes, data: st.DataObject) -> None:
    changed = bytearray(message)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(CodecError):
        tensors = decode(changed, limit=100_000)
        assert sum(each.numel() * each.element_size() for each in tensors) <= 100_000


@given(st.binary(max_size=200), st.sampled_from([0, 1, 2]), st.integers(0, 2**63))
def test_noise_behind_a_good_beginning_is_refused(noise: bytes, packing: int, size: int) -> None:
    with pytest.raises(CodecError):
        decode(struct.pack("<4sBQ", b"ofl1", packing, size) + b"\1\7" + noise)


def body(facts: tuple[int, int, int, int], shape: tuple[int, ...], rest: bytes = b"") -> bytes:
    inner = b"\1" + struct.pack("<4B", *facts) + struct.pack(f"<{len(shape)}I", *shape) + rest
    return struct.pack("<4sBQ", b"ofl1", 0, len(inner)) + inner


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (b"", "does not begin like one"),
        (b"\x80\x04" * 20, "does not begin like one"),
        (struct.pack("<4sBQ", b"ofl1", 3, 0), "does not begin like one"),
        (struct.pack("<4sBQ", b"ofl1", 1, 2**40), "1099511627776 bytes; the limit is 268435456"),
        (body((0, 0, 0, 4), (2**31,) * 4), "beyond the limit"),
        (body((2, 0, 0, 2), (1, 2**20)), "ends 8 bytes too early|ends 4 bytes too early"),
        (body((0, 0, 0, 4), (0,) + (2**31,) * 3), "beyond the limit"),
        (struct.pack("<4sBQ", b"ofl1", 2, 2**28) + bytes(99), "99 bytes, said to hold 268435456"),
        (body((0, 0, 0, 9), (1,) * 9), "unknown form, type, layout or dimensions"),
        (body((9, 0, 0, 1), (1,)), "unknown form"),
        (body((0, 0, 1, 1), (1,), bytes(4)), "has no such form or layout"),
        (body((2, 8, 0, 1), (1,), bytes(9)), "has no such form or layout"),
        (body((0, 10, 0, 1), (1,), struct.pack("<di", -1.0, 0) + b"\0"), "of scale -1.0"),
        (body((0, 10, 0, 1), (1,), struct.pack("<di", float("nan"), 0) + b"\0"), "of scale nan"),
        (body((0, 10, 0, 1), (1,), struct.pack("<di", 0.5, -1) + b"\0"), "zero point -1"),
        (body((0, 11, 0, 1), (1,), struct.pack("<di", 0.5, 128) + b"\0"), "zero point 128"),
        (body((4, 0, 0, 4), (1, 7, 4, 4), bytes(200)), "images of 7 channels"),
        (body((4, 0, 0, 4), (1, 1, 4, 4), bytes(16) + b"\2\0\0\0no"), "no png file that can be read"),
    ],
)
def test_hostile_messages_are_told(message: bytes, why: str) -> None:
    with pytest.raises(CodecError, match=why):
        decode(message)


def test_a_small_message_cannot_claim_much_room() -> None:
    import zstandard

    bomb = zstandard.ZstdCompressor(level=19, write_content_size=True).compress(bytes(10**7))
    with pytest.raises(CodecError, match="its frame gives a size"):
        decode(struct.pack("<4sBQ", b"ofl1", 1, 100) + bomb)
    bomb = zstandard.ZstdCompressor(level=19, write_content_size=False).compress(bytes(10**7))
    with pytest.raises(CodecError, match="101 bytes or more, said to have 100"):
        decode(struct.pack("<4sBQ", b"ofl1", 1, 100) + bomb)
    large = named("png", IMAGENET).encode([torch.zeros(1, 3, 300, 300)])
    hostile = large.replace(struct.pack("<2I", 300, 300), struct.pack("<2I", 30, 30), 1)
    with pytest.raises(CodecError, match="300 x 300 pixels, said to be 30 x 30"):
        decode(hostile)


@pytest.mark.parametrize("packing", ["zstd", "lz4"])
def test_what_folds_most_is_unfolded(packing: str) -> None:
    zeros = torch.zeros(2**24, dtype=torch.uint8)
    message = named(f"raw+{packing}").encode([zeros])
    assert len(message) < (70_000 if packing == "lz4" else 2000)
    assert torch.equal(decode(message)[0], zeros)


def test_a_window_that_is_larger_than_need_be_is_refused() -> None:
    import zstandard

    wide = zstandard.ZstdCompressionParameters(window_log=26, write_content_size=False)
    packed = zstandard.ZstdCompressor(compression_params=wide).compressobj()
    said = packed.compress(bytes(1000)) + packed.flush()
    with pytest.raises(CodecError, match="too much memory"):
        decode(struct.pack("<4sBQ", b"ofl1", 1, 1000) + said)


def test_a_jpeg_that_goes_over_an_image_again_and_again_is_refused() -> None:
    from PIL import Image

    file = io.BytesIO()
    Image.new("L", (64, 64), 128).save(file, "jpeg", progressive=True)
    good = file.getvalue()
    scan = good[good.rindex(b"\xff\xda") : -2]
    for times, refused in ((90, False), (100, True)):
        jpeg = good[:-2] + scan * times + good[-2:]
        numbers = struct.pack("<2dI", 0.5, 0.5, len(jpeg))
        message = body((5, 0, 0, 4), (1, 1, 64, 64), numbers + jpeg)
        if refused:
            with pytest.raises(CodecError, match="more than 100 scans"):
                decode(message)
        else:
            assert decode(message)[0].shape == (1, 1, 64, 64)


def test_the_limit_is_on_what_tensors_hold() -> None:
    message = named("uint8").encode([torch.zeros(1, 1000)])
    assert len(message) < 2000
    assert decode(message, limit=4000)[0].shape == (1, 1000)
    with pytest.raises(CodecError, match="beyond the limit"):
        decode(message, limit=3999)


def test_types_without_a_place_are_refused() -> None:
    with pytest.raises(CodecError, match="cannot write a tensor of torch"):
        named("raw").encode([torch.zeros(1, dtype=torch.complex64)])
    with pytest.raises(CodecError, match="256 tensors; at most 255"):
        Codec("raw").encode([torch.zeros(0)] * 256)
    assert codec.LIMIT_BYTES >= 2**28
    assert wire.FORMS[0] == "raw"
