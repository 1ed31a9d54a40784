"""A package that brings a policy is found once it is installed, by its name alone."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from offload import check_policy
from offload.policies import table

ROOT = Path(__file__).resolve().parents[1]
PLUGIN = ROOT / "tests" / "plugin"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the example into a folder of its own."""
    folder = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder)]
    subprocess.run([*pip, str(PLUGIN)], check=True, timeout=300)
    return folder


def offload(site: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Call the command line where the package is installed."""
    command = [sys.executable, "-c", "from offload.cli import main; main()", *args]
    path = os.pathsep.join([str(site), str(ROOT)])
    return subprocess.run(
        command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False,
        timeout=300,
    )  # fmt: skip


def test_it_is_listed_told_of_and_run(site: Path, tmp_path: Path) -> None:
    rows = json.loads(offload(site, "policies", "--json").stdout)
    (row,) = [each for each in rows if each["name"] == "homebody"]
    assert row["what"].startswith("The quickest plan on the device while it is on time")
    told = json.loads(offload(site, "policies", "homebody", "--json").stdout)
    assert told["class"] == "offload_homebody:Homebody"
    assert [each["option"] for each in told["options"]] == ["margin"]
    scenario = str(ROOT / "tests" / "small.toml")
    found = offload(site, "run", scenario, "--set", 'policy={ name = "homebody", margin = "9 ms" }')
    assert found.returncode == 0, found.stderr
    assert "homebody" in found.stdout
    kept = offload(site, "run", scenario, "--policy", "homebody", "--out", str(tmp_path))
    assert kept.returncode == 0, kept.stderr
    code = hashlib.blake2b((site / "offload_homebody" / "__init__.py").read_bytes(), digest_size=12)
    told = pl.read_parquet_metadata(tmp_path / "homebody" / "0" / "requests.parquet")
    assert told["policy_code"] == code.hexdigest()  # so that another version makes other rows
    refused = offload(site, "run", scenario, "--set", 'policy={ name = "homebody", margn = "9 ms" }')
    assert refused.returncode == 2
    assert 'did you mean "margin"?' in refused.stderr


def test_it_is_unknown_where_it_is_not_installed() -> None:
    with pytest.raises(table.PolicyTableError, match='no policy "homebody"'):
        table.load("homebody")


def test_a_plugin_that_is_broken_says_so(site: Path, tmp_path: Path) -> None:
    info = tmp_path / "offload_broken-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: offload-broken\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[offload.policies]\nbroken = offload_broken:Mine\nquickest = offload_broken:Mine\n"
    )
    scenario = str(ROOT / "tests" / "small.toml")
    found = offload(tmp_path, "run", scenario, "--policy", "broken")
    assert found.returncode == 2
    assert "broken cannot be loaded: ModuleNotFoundError" in found.stderr
    assert "Traceback" not in found.stderr
    # It cannot take a name that is taken, and the others are still there.
    assert offload(tmp_path, "run", scenario, "--policy", "quickest").returncode == 0
    listed = offload(tmp_path, "policies")
    assert "broken cannot be loaded" in listed.stdout + listed.stderr
    assert "quickest" in listed.stdout


def test_it_keeps_the_contract(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(site))
    from offload_homebody import Homebody

    assert check_policy(Homebody) == []
