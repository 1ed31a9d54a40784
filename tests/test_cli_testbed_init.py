"""The command that makes certificates."""

from pathlib import Path

from typer.testing import CliRunner

from offload.cli import app
from offload.testbed.certificates import Identity

RUN = CliRunner()
SCENARIO = str(Path(__file__).parent / "small.toml")


def test_names_come_from_a_scenario_and_from_options(tmp_path: Path) -> None:
    done = RUN.invoke(
        app,
        ["testbed", "init", str(tmp_path), "--scenario", SCENARIO, "--node", "spare", "--device", "me"],
    )
    assert done.exit_code == 0, done.output
    members = {each.stem for each in (tmp_path / "certificates" / "members").glob("*.pem")}
    assert members == {"spare", "me", "cabinet", "region", *(f"car-{number}" for number in range(2))}
    assert Identity(tmp_path, "cabinet").allowed() == members - {"cabinet"}
    assert "Keep secret: signing.key" in done.output
    assert f"{tmp_path}/certificates: 16 files for spare, cabinet, region and me, car-0" in done.output


def test_what_is_wrong_is_told_in_lines_and_nothing_is_written(tmp_path: Path) -> None:
    there = tmp_path / "there"
    for arguments, told in (
        ([], "no node: give at least one, to which devices connect"),
        (["--node", "../up", "--days", "0"], "0 days: write 1 to 3650\n'../up': write a name"),
        (["--scenario", str(tmp_path / "none.toml")], "none.toml"),
    ):
        done = RUN.invoke(app, ["testbed", "init", str(there), *arguments])
        assert done.exit_code == 2
        assert told in done.stderr
        assert not there.exists()


def test_what_is_there_is_replaced_when_forced_only(tmp_path: Path) -> None:
    before = None
    for arguments, code in (([], 0), ([], 2), (["--force"], 0)):
        done = RUN.invoke(app, ["testbed", "init", str(tmp_path), "--node", "a", *arguments])
        assert done.exit_code == code
        key = (tmp_path / "certificates" / "members" / "a.key").read_bytes()
        assert (key == before) == (code == 2)
        before = key
    assert [each.name for each in tmp_path.iterdir()] == ["certificates"]
