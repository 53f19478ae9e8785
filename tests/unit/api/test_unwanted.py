"""What throwing bodies away may cost a process."""

from api.wire.unwanted import Unwanted


class Sender:
    """A connection that keeps whether it was hung up on."""

    def __init__(self, unwanted: Unwanted) -> None:
        self._unwanted = unwanted
        self.hung_up = False

    def hang_up(self) -> None:
        self.hung_up = True
        self._unwanted.end(self)


def test_one_too_many_ends_the_oldest() -> None:
    unwanted = Unwanted(connections=2)
    senders = [Sender(unwanted) for _ in range(4)]
    for sender in senders[:3]:
        unwanted.begin(sender)
    assert [sender.hung_up for sender in senders] == [True, False, False, False]
    unwanted.end(senders[1])
    unwanted.begin(senders[3])
    assert [sender.hung_up for sender in senders] == [True, False, False, False]


def test_all_together_go_no_faster_than_allowed() -> None:
    unwanted = Unwanted(bytes_per_second=1000)
    assert unwanted.throw_away(50, now_seconds=7) == 0
    waits = [unwanted.throw_away(1000, now_seconds=7) for _ in range(3)]
    assert [round(wait, 2) for wait in waits] == [0.95, 1.95, 2.95]
    assert unwanted.throw_away(50, now_seconds=60) == 0
