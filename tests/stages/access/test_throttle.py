from __future__ import annotations

import pytest

from cityloom.access.errors import TooManyAttempts
from cityloom.access.throttle import Allowance, Backoff, Patience, SignInThrottle, network_of


class Timer:
    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


def test_network_of_keeps_ipv4_and_takes_the_half_of_ipv6():
    assert network_of("192.0.2.7") == "192.0.2.7"
    assert network_of("2001:db8:1:2:3:4:5:6") == network_of("2001:db8:1:2::9") == "2001:db8:1:2::/64"
    assert network_of("2001:db8:1:3::9") != network_of("2001:db8:1:2::9")
    assert network_of("::ffff:192.0.2.7") == "192.0.2.7"
    assert network_of("") == ""


def test_backoff_doubles_the_wait_after_the_free_failures_up_to_the_longest():
    timer = Timer()
    backoff = Backoff(Patience(free=3, longest=8), timer=timer)
    waits = []
    for _ in range(8):
        waits.append(backoff.wait("key"))
        backoff.failed("key")
    assert waits == [0, 0, 0, 1, 2, 4, 8, 8]
    assert backoff.wait("other") == 0


def test_backoff_wait_ends_and_is_forgotten():
    timer = Timer()
    backoff = Backoff(Patience(free=1, longest=8), timer=timer)
    for _ in range(100):
        backoff.failed("key")
    timer.at += 7.5
    assert backoff.wait("key") == 0.5
    timer.at += 0.5
    assert backoff.wait("key") == 0
    backoff.failed("key")
    assert backoff.wait("key") == 8
    timer.at += 33
    assert backoff.wait("key") == 0
    backoff.failed("key")
    backoff.failed("key")
    assert backoff.wait("key") == 2


def test_backoff_remembers_a_bounded_number_of_keys():
    backoff = Backoff(Patience(free=1, longest=8), timer=Timer())
    for number in range(20_001):
        backoff.failed(number)
        backoff.failed(number)
    assert backoff.wait(0) == 0
    assert backoff.wait(20_000) == 2


def test_allowance_lets_so_many_pass_and_refills():
    timer = Timer()
    allowance = Allowance(2, 60, timer=timer)
    allowance.take("a", what="reports")
    allowance.take("a", what="reports")
    with pytest.raises(TooManyAttempts, match="reports") as caught:
        allowance.take("a", what="reports")
    assert caught.value.retry_after == 30
    allowance.take("b", what="reports")
    timer.at += 30
    allowance.take("a", what="reports")
    with pytest.raises(TooManyAttempts):
        allowance.take("a", what="reports")


def guess(throttle: SignInThrottle, times: int, address: str = "192.0.2.1", known: bool = False) -> int:
    """How many of so many attempts at once come through."""
    through = 0
    for number in range(times):
        try:
            throttle.attempt("anna", address.format(number), known=known)
        except TooManyAttempts:
            continue
        through += 1
    return through


def test_sign_in_throttle_stops_one_guesser_at_one_account():
    throttle = SignInThrottle(timer=Timer())
    assert guess(throttle, 100) == 5


def test_sign_in_throttle_stops_one_guesser_at_many_accounts():
    throttle = SignInThrottle(timer=Timer())
    through = 0
    for number in range(100):
        try:
            throttle.attempt(f"user-{number}", "192.0.2.1", known=False)
        except TooManyAttempts:
            continue
        through += 1
    assert through == 30


def test_sign_in_throttle_stops_a_guesser_with_many_addresses_and_lets_the_owner_in():
    timer = Timer()
    throttle = SignInThrottle(timer=timer)
    assert guess(throttle, 255, "198.51.100.{}") == 50
    throttle.attempt("anna", "192.0.2.1", known=True)
    with pytest.raises(TooManyAttempts) as caught:
        throttle.attempt("anna", "192.0.2.2", known=False)
    assert caught.value.retry_after <= 60
    timer.at += 60
    throttle.attempt("anna", "192.0.2.2", known=False)


def test_sign_in_throttle_always_lets_the_owner_try_again_within_a_quarter_of_an_hour():
    timer = Timer()
    throttle = SignInThrottle(timer=timer)
    for _ in range(50):
        guess(throttle, 10)
        timer.at += 900
        throttle.attempt("anna", "192.0.2.1", known=False)


def test_sign_in_throttle_forgets_the_account_s_failures_after_success():
    throttle = SignInThrottle(timer=Timer())
    assert guess(throttle, 4) == 4
    throttle.attempt("anna", "192.0.2.1", known=False)
    throttle.succeeded("anna", "192.0.2.1", known=False)
    assert guess(throttle, 10) == 5


def test_sign_in_throttle_keeps_the_address_s_failures_when_an_own_account_is_opened_in_between():
    throttle = SignInThrottle(timer=Timer())
    through = 0
    for number in range(100):
        try:
            throttle.attempt(f"user-{number}", "192.0.2.1", known=False)
            through += 1
            throttle.attempt("guesser", "192.0.2.1", known=True)
            throttle.succeeded("guesser", "192.0.2.1", known=True)
        except TooManyAttempts:
            continue
    assert through == 30
