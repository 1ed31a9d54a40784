"""What devices draw beside what each request costs: radios that linger, and batteries that run empty."""

from collections import deque
from collections.abc import Callable, Iterator

from offload.energy import Radio
from offload.entities import Hardware
from offload.scenario.setup import Device
from offload.simulation.clock import Clock
from offload.simulation.stations import InOrder
from offload.world.battery import Supply

NO_POWER = "no-power"
NEVER = float("inf")


class Meter:
    """Follows a device's radio between its messages: awake for a while, then asleep, then woken.

    It is in use from when a message is handed to it until that has arrived or failed: for as long as the
    legs `uplink` and `downlink` of a request last. What it draws then is in the request's row.
    """

    off = False  # it has power

    def __init__(self, clock: Clock, radio: Radio | None) -> None:
        self.clock = clock
        self.radio = radio or Radio.constant(0.0, "none")
        self.sending: set[int] = set()  # whose messages, by the ids of requests
        self.rests_s = -NEVER  # since when it has not been in use
        self.tail_j = 0.0
        self.promotion_j = 0.0

    def begins(self, request: int) -> None:
        """Note that a message is handed to the radio."""
        if not self.sending:
            gap_s = self.clock.now - self.rests_s
            self._rested(self.clock.now)
            if self.radio.sleeps_after(gap_s):
                self.promotion_j += self.radio.promotion_j
        self.sending.add(request)

    def ended(self, request: int, now: float) -> None:
        """Note that a message has arrived or failed, if it had begun."""
        if request in self.sending:
            self.sending.remove(request)
            if not self.sending:
                self.rests_s = now

    def spent(self, joules: float) -> None:
        """Note what a message took of the device."""

    def computes(self, until_s: float, joules: list[float]) -> None:
        """Note until when the device computes now, and whose account paid for it last."""

    def stop(self, now: float) -> None:
        """Note that all is over: what is under way goes no further, and the radio sleeps."""
        if not self.sending:
            self._rested(now)
        self.sending.clear()
        self.rests_s = -NEVER

    def charge_j(self) -> float | None:
        """Tell what is left in the battery; None where there is none."""
        return None

    def _rested(self, now: float) -> None:
        if self.rests_s > -NEVER:
            self.tail_j += self.radio.tail_j(now - self.rests_s)


class Powered(Meter):
    """A device on a battery: off from when that is empty until it holds enough again.

    Drawn are idle watts while it is on, what computing draws above them and the radio's tail, each for
    exactly as long as it lasts; so the moment at which these empty the battery is exact. What a message
    takes is drawn at once, when it has arrived or failed; if less is left, `short_j` is what lacked.
    `lose` is called when the power goes, to end what is under way; `over` tells that nothing more comes.
    """

    def __init__(
        self,
        clock: Clock,
        device: Device,
        supply: Supply,
        hardware: Hardware,
        radio: Radio | None,
        compute: InOrder,
        until_s: float,
        lose: Callable[[Device], object],
        over: Callable[[], bool],
    ) -> None:
        super().__init__(clock, radio)
        self.device = device
        self.supply = supply
        self.idle_w, self.computing_w = hardware.idle_w.value, hardware.marginal_w
        self.compute = compute
        self.until_s = min(until_s, device.leaves_s)
        self.lose = lose
        self.over = over
        self.left_j = supply.start_j  # at `at_s`
        self.at_s = max(0.0, device.enters_s)
        self.computes_until_s = 0.0
        self.work: deque[tuple[float, list[float]]] = deque()  # when it ends, and whose account paid
        self.off_since_s = 0.0
        self.off_s = self.harvest_j = self.spilled_j = self.short_j = 0.0
        self.alarm_s = NEVER
        self._arm(self.at_s)

    def begins(self, request: int) -> None:
        """Note that a message is handed to the radio; to wake it takes its joules at once."""
        self._follow(self.clock.now)
        woken_j = self.promotion_j
        super().begins(request)
        self.spent(self.promotion_j - woken_j)

    def ended(self, request: int, now: float) -> None:
        """Note that a message has arrived or failed; from now on the radio draws its tail."""
        self._follow(now)
        super().ended(request, now)
        self._arm(self.at_s)

    def spent(self, joules: float) -> None:
        """Draw what a message took."""
        self._follow(self.clock.now)
        self.left_j -= joules
        if self.left_j < 0.0:
            self.short_j -= self.left_j
            self.left_j = 0.0
        self._arm(self.at_s)

    def computes(self, until_s: float, joules: list[float]) -> None:
        """Note until when the device computes now: without a gap, since its queue is in order."""
        now = self.clock.now
        self._follow(now)
        while self.work and self.work[0][0] <= now:
            self.work.popleft()
        self.work.append((until_s, joules))
        self.computes_until_s = until_s
        self._arm(now)

    def stop(self, now: float) -> None:
        """Note that all is over; what will not be computed is paid back to whose account paid for it."""
        self._follow(now)
        super().stop(now)
        begins_s = now
        for ends_s, joules in self.work:
            if ends_s > begins_s:
                joules[0] = max(0.0, joules[0] - self.computing_w * (ends_s - begins_s))
                self.compute.busy_s -= ends_s - begins_s
                begins_s = ends_s
        if begins_s > now:
            self.compute.free[0] = self.computes_until_s = now
        self.work.clear()
        if self.off:
            self.off_s += now - self.off_since_s
            self.off_since_s = now

    def charge_j(self) -> float:
        """Tell what is left in the battery."""
        self._follow(self.clock.now)
        return self.left_j

    def _stretches(self, begin_s: float, end_s: float) -> Iterator[tuple[float, float, float]]:
        """Yield begin, end and watts of the stretches in which these are constant."""
        awake_until_s = -NEVER if self.sending else self.rests_s + self.radio.tail_s
        while begin_s < end_s:
            watts, until_s = 0.0 if self.off else self.idle_w, end_s
            if begin_s < self.computes_until_s:
                watts, until_s = watts + self.computing_w, min(until_s, self.computes_until_s)
            if begin_s < awake_until_s:
                watts, until_s = watts + self.radio.tail_w, min(until_s, awake_until_s)
            yield begin_s, until_s, watts
            begin_s = until_s

    def _follow(self, now: float) -> None:
        """Bring the charge up to now."""
        battery = self.supply.battery
        for begin_s, end_s, watts in self._stretches(self.at_s, now):
            left_j = battery.after(self.left_j, begin_s, end_s, watts)
            given_j = battery.harvest_w.amount(begin_s, end_s)
            self.harvest_j += given_j
            self.spilled_j += max(0.0, self.left_j + given_j - watts * (end_s - begin_s) - left_j)
            self.left_j, self.at_s = left_j, end_s

    def _arm(self, now: float) -> None:
        """See to it that the device goes off when its battery is empty, as things stand."""
        empty_s = NEVER if self.off else self._empties(now)
        if empty_s != self.alarm_s:
            self.alarm_s = empty_s
            if empty_s <= self.until_s:
                self.clock.at(empty_s, self._empty)

    def _empties(self, now: float) -> float:
        battery, left_j = self.supply.battery, self.left_j
        for begin_s, end_s, watts in self._stretches(now, self.until_s):
            if left_j <= watts * (end_s - begin_s):  # else it lasts, whatever the harvest
                empty_s = battery.falls_to(left_j, begin_s, 0.0, watts)
                if empty_s <= end_s:
                    return empty_s
            left_j = battery.after(left_j, begin_s, end_s, watts)
        return NEVER

    def _empty(self, now: float) -> None:
        if now != self.alarm_s or self.over():
            return
        self._follow(now)
        self.left_j, self.alarm_s = 0.0, NEVER
        self.stop(now)
        self.off, self.off_since_s = True, now
        self.lose(self.device)
        charged_s = self.supply.battery.rises_to(0.0, now, self.supply.low_j, 0.0)
        if charged_s < self.until_s:
            self.clock.at(charged_s, self._charged)

    def _charged(self, now: float) -> None:
        if self.over():
            return
        self._follow(now)
        self.left_j, self.off = self.supply.low_j, False
        self.off_s += now - self.off_since_s
        self._arm(now)
