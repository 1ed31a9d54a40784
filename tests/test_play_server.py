"""The playground's server: what it serves, whom it refuses, and how it begins and ends."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from dataclasses import asdict

import pytest
from typer.testing import CliRunner

from offload.analysis.files import to_json
from offload.cli import app
from offload.views.play import server
from offload.views.play.answers import answer
from offload.views.play.choices import choices
from offload.views.play.live import simulate
from offload.views.play.server import MOST_BYTES, STATIC
from offload.views.play.settings import Settings
from tests.served import served


@pytest.fixture(scope="module")
def address():
    with served() as found:
        yield found


def ask(address, path, body=None, **headers):
    """Return status, headers and text of what is answered."""
    port = int(address.rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    if body is not None:
        headers = {"content-type": "application/json"} | headers
    connection.request("GET" if body is None else "POST", path, body, headers)
    reply = connection.getresponse()
    told = reply.status, dict(reply.getheaders()), reply.read().decode()
    connection.close()
    return told


def test_the_page_loads_nothing_but_its_own_files(address):
    status, headers, text = ask(address, "/")
    assert status == 200
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    named = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert named
    for name in named:
        assert name == "data:," or name.startswith("/static/")
        if name.startswith("/"):
            assert ask(address, name)[0] == 200
    assert "<script>" not in text


@pytest.mark.parametrize("path", ["/static/../server.py", "/static/%2e%2e/server.py", "/server.py"])
def test_no_other_file_is_served(address, path):
    assert ask(address, path)[0] == 404


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_other_hosts_names_are_refused(address, host):
    for path in ("/", "/api/choices", "/static/play.js"):
        status, headers, _ = ask(address, path, Host=host)
        assert status == 400
        assert "content-security-policy" in headers
    assert ask(address, "/", Host="localhost:8765")[0] == 200


def test_choices_are_those_of_the_library(address):
    assert json.loads(ask(address, "/api/choices")[2]) == json.loads(json.dumps(choices()))


def test_cuts_are_those_of_the_library(address):
    settings = Settings(distance_m=300.0, load=0.8)
    status, _, text = ask(address, "/api/cuts", settings.model_dump_json())
    assert status == 200
    assert json.loads(text) == json.loads(json.dumps(to_json(asdict(answer(settings)))))


def test_a_simulation_is_told_line_by_line(address):
    settings = Settings(distance_m=100.0, every_s=0.2)
    status, _, text = ask(address, "/api/simulate", settings.model_dump_json())
    assert status == 200
    expected = [json.loads(json.dumps(to_json(asdict(told)))) for told in simulate(settings)]
    assert [json.loads(line) for line in text.splitlines()] == expected


def test_who_asks_later_ends_what_was_asked_before(address):
    def begin(every):
        data = Settings(every_s=every).model_dump_json().encode()
        asked = urllib.request.Request(
            f"{address}/api/simulate", data, {"content-type": "application/json"}
        )
        return urllib.request.urlopen(asked, timeout=30)

    with begin(0.02) as first, begin(0.5) as second:
        assert json.loads(second.read().decode().splitlines()[-1])["replications"] == 5
        assert json.loads(first.read().decode().splitlines()[-1]) is None


def test_who_leaves_ends_the_simulation(address):
    port = int(address.rpartition(":")[2])
    for _ in range(5):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("POST", "/api/simulate", "{}", {"content-type": "application/json"})
        connection.getresponse()
        connection.close()
    last = ask(address, "/api/simulate", "{}")[2].splitlines()[-1]
    assert json.loads(last)["replications"] == 5


def test_who_does_not_end_asking_is_not_waited_for(address, monkeypatch):
    monkeypatch.setattr(server, "LONGEST_S", 0.1)
    with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), 30) as slow:
        head = "POST /api/cuts HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        slow.sendall(f"{head}Content-Length: 20\r\n\r\n{{".encode())
        assert slow.recv(4096).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("path", ["/api/cuts", "/api/simulate"])
def test_what_cannot_be_worked_out_is_refused_with_lines(address, path):
    status, _, text = ask(address, path, '{"network": "resnet5"}')
    assert status == 422
    assert json.loads(text) == {"errors": ['network: no network "resnet5"; did you mean "resnet50"?']}
    assert ask(address, path, "{")[0] == 422
    assert ask(address, path, "x" * (MOST_BYTES + 1))[0] == 413
    assert ask(address, path, "{}", **{"content-type": "text/plain"})[0] == 415
    assert ask(address, path)[0] == 405


def test_a_port_in_use_is_told_with_one_that_is_free():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = CliRunner().invoke(app, ["play", "--no-open", "--port", str(port)])
    assert done.exit_code == 2
    found = re.fullmatch(rf"--port {port}: in use; try --port (\d+)\n", done.stderr)
    assert found is not None, done.stderr
    assert port < int(found[1]) <= port + 100


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_it_prints_where_it_is_and_ctrl_c_ends_it_cleanly():
    command = [sys.executable, "-c", "from offload.cli import main; main()", "play", "--port", "0"]
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        start_new_session=True,
    )  # fmt: skip
    try:
        line = process.stdout.readline()
        where = re.match(r"http://127\.0\.0\.1:(\d+)/ to open in a browser", line)
        assert where is not None, line
        with urllib.request.urlopen(where[0].split()[0], timeout=30) as page:
            assert page.status == 200
        asked = urllib.request.Request(
            f"{where[0].split()[0]}api/simulate", b"{}", {"content-type": "application/json"}
        )
        with urllib.request.urlopen(asked, timeout=30) as simulating:  # Ctrl-C in the midst of it
            simulating.readline()
            os.killpg(process.pid, signal.SIGINT)
            said, complained = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, said, complained) == (0, "ended\n", "")


def test_the_vendored_chart_library_is_what_its_readme_says():
    import hashlib

    folder = STATIC / "vendor"
    readme = (folder / "README.md").read_text()
    told = re.search(r"`chart\.umd\.js` +sha256 `([0-9a-f]{64})`", readme)
    assert told is not None
    assert hashlib.sha256((folder / "chart.umd.js").read_bytes()).hexdigest() == told[1]
    assert "MIT" in (folder / "LICENSE.md").read_text()
