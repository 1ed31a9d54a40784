"""Links shaped by the kernel: the commands, and, where root may, the links themselves."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from offload.scenario.load import load
from offload.testbed import namespaces as module
from offload.testbed import specs
from offload.testbed.device import DeviceSpec
from offload.testbed.link import Shape
from offload.testbed.namespaces import NamespacesError, Pair, addresses, commands, discipline, namespaces
from offload.testbed.node import Way

PAIRS = [
    Pair("car-0", "edge", Shape(20e6), Shape(100e6)),
    Pair("edge", "cloud", Shape(None, 0.012), Shape(1e9, 0.012), 0.001),
]


def test_each_link_has_addresses_of_its_own():
    assert addresses(PAIRS) == {
        ("car-0", "edge"): "10.201.0.1", ("edge", "car-0"): "10.201.0.2",
        ("edge", "cloud"): "10.201.0.5", ("cloud", "edge"): "10.201.0.6",
    }  # fmt: skip


def test_the_commands_that_make_two_links():
    lines = [" ".join(command) for command in commands("m-", PAIRS)]
    assert lines[:3] == ["ip netns add m-car-0", "ip netns add m-edge", "ip netns add m-cloud"]
    assert lines[3:10] == [
        "ip -n m-car-0 link add link0 type veth peer name link0 netns m-edge",
        "ip -n m-car-0 address add 10.201.0.1/30 dev link0",
        "ip -n m-car-0 link set link0 up",
        "tc -n m-car-0 qdisc add dev link0 root tbf rate 20000000bit burst 1600 limit 256000000",
        "ip -n m-edge address add 10.201.0.2/30 dev link0",
        "ip -n m-edge link set link0 up",
        "tc -n m-edge qdisc add dev link0 root tbf rate 100000000bit burst 1600 limit 256000000",
    ]
    assert lines[-1] == (
        "tc -n m-cloud qdisc add dev link1 root netem limit 1000000 delay 12000us 1000us"
        " rate 1000000000bit"
    )


@pytest.mark.parametrize(
    ("shape", "jitter_s", "told"),
    [
        (Shape(), 0.0, ""),
        (Shape(None, 0.005), 0.0, "netem limit 1000000 delay 5000us 0us"),
        (Shape(), 0.001, "netem limit 1000000 delay 0us 1000us"),
        (Shape(1e9), 0.0, "tbf rate 1000000000bit burst 12500 limit 256000000"),
    ],
)
def test_disciplines(shape, jitter_s, told):
    assert " ".join(discipline(shape, jitter_s)) == told


def refused(match):
    return pytest.raises(NamespacesError, match=match)


def test_who_is_not_root_is_told_so(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with refused("only root"), namespaces(PAIRS):
        pass


def test_missing_commands_are_named(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(module.shutil, "which", lambda name: None if name == "tc" else "/sbin/ip")
    with refused("no command tc; install iproute2"), namespaces(PAIRS):
        pass


class Kernel:
    """Stands for the kernel: notes commands, makes and removes names, refuses one command."""

    def __init__(self, folder, refuses, why):
        self.folder, self.refuses, self.why, self.ran = folder, refuses, why, []

    def run(self, command, **_):
        self.ran.append(command)
        if self.refuses in command:
            return subprocess.CompletedProcess(command, 2, "", self.why)
        if command[:3] == ["ip", "netns", "add"]:
            (self.folder / command[3]).touch()
        if command[:3] == ["ip", "netns", "delete"]:
            (self.folder / command[3]).unlink()
        return subprocess.CompletedProcess(command, 0, "", "")


@pytest.fixture
def kernel(monkeypatch, tmp_path):
    def make(refuses="nothing", why=""):
        found = Kernel(tmp_path, refuses, why)
        monkeypatch.setattr(module, "FOLDER", tmp_path)
        monkeypatch.setattr(module.subprocess, "run", found.run)
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        monkeypatch.setattr(module.shutil, "which", lambda name: name)
        return found

    return make


def test_what_was_made_is_removed_when_the_kernel_refuses_the_rest(kernel, tmp_path):
    made = kernel("netem", "Error: Specified qdisc kind is unknown.\n")
    with refused("this kernel has no netem"), namespaces(PAIRS):
        pass
    assert any(command[:3] == ["ip", "netns", "add"] for command in made.ran)
    assert not list(tmp_path.iterdir())


def test_a_refusal_is_told_with_its_command_and_reason(kernel):
    kernel("add", "RTNETLINK answers: Operation not permitted\nmore\n")
    told = r"^ip netns add offload-\d+-car-0: RTNETLINK answers: Operation not permitted; "
    with refused(told), namespaces(PAIRS):
        pass


def test_all_is_removed_when_the_block_raises_and_what_the_dead_left_behind(kernel, tmp_path):
    kernel()
    (tmp_path / "offload-99999999-edge").touch()
    (tmp_path / "another").touch()
    there = set()

    def fail():
        with namespaces(PAIRS) as spaces:
            there.update(path.name.removeprefix(spaces.mark) for path in tmp_path.iterdir())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert there == {"another", "car-0", "edge", "cloud"}
    assert [path.name for path in tmp_path.iterdir()] == ["another"]


LISTEN = """
import socket, sys
from pathlib import Path
from offload.testbed.namespaces import enter
enter(Path(sys.argv[1]))
listener = socket.create_server((sys.argv[2], 0))
print(listener.getsockname()[1], flush=True)
sock, _ = listener.accept()
print(len(sock.makefile("rb").read()), flush=True)
"""
SEND = """
import os, socket, sys
from pathlib import Path
from offload.testbed.namespaces import enter
before = os.readlink("/proc/thread-self/ns/net")
enter(Path(sys.argv[1]))
assert os.readlink("/proc/thread-self/ns/net") != before
with socket.create_connection((sys.argv[2], int(sys.argv[3])), 10) as sock:
    sock.sendall(bytes(5000))
"""


def test_bytes_go_over_a_link_that_the_kernel_shapes():
    pair = PAIRS[0]
    try:
        with namespaces([pair]) as spaces:
            address = spaces.addresses["edge", "car-0"]
            with subprocess.Popen(
                [sys.executable, "-c", LISTEN, spaces.of("edge"), address],
                stdout=subprocess.PIPE,
                text=True,
            ) as listener:
                port = listener.stdout.readline().strip()
                subprocess.run(
                    [sys.executable, "-c", SEND, spaces.of("car-0"), address, port],
                    check=True,
                    timeout=30,
                )
                assert listener.stdout.readline().strip() == "5000"
            shown = subprocess.run(
                ["tc", "-n", spaces.of("car-0").name, "qdisc", "show", "dev", "link0"],
                check=True, capture_output=True, text=True,
            ).stdout  # fmt: skip
            assert "tbf" in shown
            assert "20Mbit" in shown
            mark = spaces.mark
    except NamespacesError as error:
        pytest.skip(str(error))
    assert not list(module.FOLDER.glob(f"{mark}*"))


def test_what_is_left_to_the_kernel_is_shaped_by_nobody_else():
    given = load(Path(__file__).parents[1] / "testbed.toml", ("links.wan.jitter=1 ms",))
    setting = given.setting(0.0)
    plans, folder = list(specs.plans(setting)), Path("certificates")
    made = {name: specs.of_node(setting, plans, name, folder, 3, None, None) for name in setting.nodes}
    way, site = specs.way_up(setting, "cell")
    made["cam-0"] = DeviceSpec(
        "cam-0", given, given.policy, folder, 3, None, site, "cell", way, parts=()
    )
    assert list(specs.pairs(made)) == [
        Pair("edge", "far", Shape(100e6, 0.002), Shape(100e6, 0.002), 0.001),
        Pair("cam-0", "edge", Shape(50e6, 0.001), Shape(50e6, 0.001)),
    ]
    left = {name: specs.left_to_kernel(spec, Path(name)) for name, spec in made.items()}
    assert {spec.space for spec in left.values()} == {Path(name) for name in made}
    assert left["cam-0"].way == Way(Shape())
    assert {name: set(left[name].ways) for name in setting.nodes} == {
        "edge": {"far", "cam-0"}, "far": {"edge"},
    }  # fmt: skip
    assert {way for name in setting.nodes for way in left[name].ways.values()} == {Way(Shape())}
