"""What was sent is kept until it has arrived, within a budget."""

from __future__ import annotations

from lerf_ros.scheduling.outbox import MISSED_S, NEVER, UNHEARD_S, Outbox

MANY = 100


def filled(count: int, sent_s: float = 0.0, capacity: int = 1000) -> Outbox[str]:
    outbox: Outbox[str] = Outbox(capacity)
    for number in range(count):
        outbox.put(number, f'k{number}', 10, sent_s)
    return outbox


def test_only_what_has_not_arrived_is_sent_again_and_in_time() -> None:
    outbox = filled(6)
    outbox.hear(4, [1])
    assert outbox.unheard == 3
    assert outbox.due(MISSED_S / 2, MANY) == []
    assert outbox.due(MISSED_S + 0.1, MANY) == ['k1'], 'those after the last may be on their way'
    assert outbox.due(MISSED_S + 0.2, MANY) == [], 'it is on its way again'
    assert outbox.due(UNHEARD_S + 0.1, MANY) == ['k1', 'k4', 'k5']
    outbox.hear(6, [])
    assert outbox.due(100.0, MANY) == []
    assert len(outbox) == 6, 'they are kept while there is room'


def test_a_receiver_that_starts_anew_gets_everything_at_its_pace() -> None:
    outbox = filled(5)
    outbox.hear(5, [])
    outbox.start_again()
    assert outbox.due(0.1, 2) == ['k0', 'k1']
    assert outbox.due(0.2, 2) == [], 'two are on their way, and there is room for two'
    outbox.hear(2, [])
    assert outbox.due(0.3, 2) == ['k2', 'k3']
    assert outbox.due(0.4, 3) == ['k4']


def test_what_has_arrived_makes_room_first_and_the_rest_is_counted() -> None:
    outbox = filled(4, capacity=50)
    outbox.hear(4, [0])
    assert [outbox.put(number, f'k{number}', 10, 0.0) for number in (4, 5, 6, 7)] == [0] * 4
    assert list(outbox) == ['k0', 'k4', 'k5', 'k6', 'k7']
    assert outbox.put(8, 'k8', 10, 0.0) == 1
    assert list(outbox) == ['k4', 'k5', 'k6', 'k7', 'k8']
    assert outbox.put(9, 'huge', 900, 0.0) == 5
    assert (list(outbox), outbox.held_bytes, outbox.lost) == (['huge'], 900, 6)


def test_a_map_that_is_reset_does_not_get_back_what_it_had() -> None:
    outbox = filled(4)
    outbox.hear(4, [2])
    outbox.drop_arrived()
    assert (list(outbox), outbox.held_bytes) == (['k2'], 10)


def test_what_nobody_heard_is_given_to_the_first_who_comes() -> None:
    outbox = filled(3, NEVER)
    outbox.put(3, 'k3', 10, 1.0)
    assert outbox.take_unsent(2) == ['k0', 'k1']
    assert outbox.take_unsent(2) == ['k2']
    assert outbox.take_unsent(2) == []
    assert list(outbox) == ['k3']
