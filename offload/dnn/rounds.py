"""Rounds of measurements that are kept until they make a profile, so that stopped work goes on."""

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from offload.dnn.profiles import LayerRecord, Machine, Round

_Heading = TypeAdapter(tuple[Machine, list[LayerRecord]])
_Round = TypeAdapter(Round)


class Diary:
    """A file with a line for each finished round; the first says what was measured, and on what.

    Rounds of another machine, other versions or other layers are not gone on with: the file begins
    anew.
    """

    def __init__(self, path: Path, machine: Machine, layers: list[LayerRecord]) -> None:
        self.path = path
        heading = _Heading.dump_json((machine, layers)).decode()
        self.rounds = self._read(heading)
        if not self.rounds:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(heading + "\n")

    def add(self, done: Round) -> None:
        """Keep a round."""
        self.rounds.append(done)
        with self.path.open("a") as file:
            file.write(_Round.dump_json(done).decode() + "\n")

    def close(self) -> None:
        """Remove the file: its rounds are part of a profile now."""
        self.path.unlink(missing_ok=True)

    def _read(self, heading: str) -> list[Round]:
        if not self.path.is_file():
            return []
        first, *rest = self.path.read_text().splitlines() or [""]
        found = []
        for line in rest if first == heading else ():
            try:
                found.append(_Round.validate_json(line))
            except ValidationError:  # the line that was being written when the work was stopped
                break
        return found
