"""Which cuts of a variant are worth pricing."""

from math import inf

from offload.entities import Facts
from offload.networks import Variant


def open_cuts(facts: Facts, variant: Variant) -> tuple[int, ...]:
    """Return the cuts at which a task may leave the device: not the last, at which nothing leaves.

    Shortlisted where every server is quicker at every layer, else all.

    Raw input of a private task may not, so that the first cut does not count, nor do its bytes.
    """
    if not _servers_quicker(facts, variant):
        return tuple(range(int(facts.private), variant.last))
    if facts.private:
        return shortlist(variant, inf)[1:-1]
    return shortlist(variant, facts.input_bytes)[:-1]


def _servers_quicker(facts: Facts, variant: Variant) -> bool:
    """Tell whether every node runs every layer at least as quickly as the device, as pruning assumes."""
    mine = facts.profiles["device"].get(variant)
    if mine is None:
        return True
    theirs = [facts.profiles[name][variant] for name in facts.nodes if variant in facts.profiles[name]]
    return all(
        there <= here
        for profile in theirs
        for here, there in zip(mine.layers_s[1], profile.layers_s[1], strict=True)
    )


def shortlist(variant: Variant, input_bytes: float) -> tuple[int, ...]:
    """Return the cuts that some bandwidth or load can make best, the first and the last among them.

    A cut is left out if an earlier one sends no more bytes: where the server is quicker at every
    layer and nobody waits, the earlier is then at least as quick at any rate. (When a server's
    backlog outlasts the transfer, a later cut may win by what the extra layers would have cost at
    that server.) `input_bytes` cross at cut 0, the encoded image; elsewhere raw values do.
    """
    chosen = [0]
    fewest = input_bytes
    for index in range(1, variant.last):
        payload = variant.cuts[index].payload_bytes
        if payload < fewest:
            chosen.append(index)
            fewest = payload
    return (*chosen, variant.last)
