"""Reports tell what was true when they were sent, however late they are read."""

import pytest

from offload.simulation.batching import Batching, Member
from offload.simulation.clock import Clock
from offload.simulation.observing import Book
from offload.simulation.stations import InOrder


@pytest.mark.parametrize("kind", ["in order", "batching"])
def test_an_idle_node_reports_no_backlog_at_any_age(kind):
    clock = Clock()
    servers = InOrder(2) if kind == "in order" else Batching(clock, 2, 4, 0.01)
    book = Book(1.0, 0.5, servers, {})
    clock.at(7.4, lambda _: None)
    clock.run()
    for index in range(8):
        assert book.report(index).backlog_s == 0.0
    assert book.fresh(7.4).backlog_s == 0.0


def test_a_report_is_not_changed_by_what_came_after():
    servers = InOrder()
    book = Book(1.0, 10.0, servers, {})  # reports stay under way for long
    servers.note = book.note
    servers.serve(0.2, 2.0)  # until 2.2
    servers.serve(1.5, 3.0)  # until 5.2
    assert book.report(0).backlog_s == 0.0
    assert book.report(1).backlog_s == pytest.approx(1.2)
    assert book.report(2).backlog_s == pytest.approx(3.2)
    assert book.report(5).backlog_s == pytest.approx(0.2)
    assert book.report(6).backlog_s == 0.0


def test_members_that_wait_for_their_batch_count():
    clock = Clock()
    servers = Batching(clock, 1, 8, 5.0)
    book = Book(1.0, 0.5, servers, {})
    servers.note = book.note
    for _ in range(3):
        servers.join(Member("net", lambda n: 0.1 * n, 1.0, 99.0, lambda *_: None, lambda *_: None))
    assert book.fresh(0.0).backlog_s == pytest.approx(0.3)
    assert book.report(1).backlog_s == pytest.approx(0.3)
