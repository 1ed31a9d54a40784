"""Who does the work: processes of this machine, or of a cluster."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Protocol

from offload.analysis.measures import Summary
from offload.analysis.work.attempt import Ending, Failure
from offload.analysis.work.processes import Processes
from offload.analysis.work.replication import During, Replication


class Workers(Protocol):
    """Whoever runs replications: `Processes`, or a `Cluster`."""

    def run(self, work: Sequence[Replication], during: During | None = None, /) -> Ending:
        """Run replications, and return each with what it came to, or why it failed, as it ends.

        Where it is done in this process, `during` is told how far it is.
        """

    def close(self) -> None:
        """Let go of them."""


def run_all(
    work: Sequence[Replication], workers: "int | Workers" = 1, during: During | None = None
) -> Iterator[tuple[Replication, Summary]]:
    """Run replications on so many processes, and return each with what it came to as it ends.

    Raises what the first raises that fails, like PolicyError; what is finished by then is kept.
    """
    with closing(try_all(work, workers, during)) as ending:
        for each, found in ending:
            if isinstance(found, Failure):
                raise found.error
            yield each, found


def try_all(
    work: Sequence[Replication], workers: "int | Workers" = 1, during: During | None = None
) -> Ending:
    """Do the same, and return the Failure of each that fails; the others go on.

    Raises OSError (a full disk meets all) and ClusterError.
    """
    with hired(workers) as those, closing(those.run(work, during)) as ending:
        yield from ending


@contextmanager
def hired(workers: "int | Workers") -> Iterator[Workers]:
    """Yield workers for several calls: as many processes, which end with the block, or those given."""
    if not isinstance(workers, int):
        yield workers
        return
    with closing(Processes(workers)) as mine:
        yield mine
