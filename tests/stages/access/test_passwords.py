from __future__ import annotations

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerifyMismatchError
from hypothesis import given
from hypothesis import strategies as st

from cityloom.access.passwords import (
    DEFAULT_HASHER,
    Passwords,
    check_password,
    generate_password,
    normal_form,
)
from cityloom.kernel.errors import BadInput

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("short-enough", None),
        ("elevenchars", "fewer than 12"),
        ("x" * 257, "more than 256"),
        ("annajensen loves herons", "user name"),
        ("ANNAJENSEN-loves-herons", "user name"),
        ("aaaaaaaaaaaaaaaa", "commonest"),
        ("abababababab", "commonest"),
        ("Password1234", "commonest"),
        ("1234password!", "commonest"),
        ("passwordpassword", "commonest"),
        ("Passwordpassword2024!", "commonest"),
        ("Cityloom2026!", "commonest"),
        ("123456789012", "commonest"),
        ("210987654321", "commonest"),
        ("abcdefghijkl", "commonest"),
        ("qwertyuiopas", "commonest"),
        ("administrator", "commonest"),
        ("1q2w3e4r5t1q2w3e4r5t", "commonest"),
        ("correct horse battery staple", None),
        ("æblegrød med fløde", None),
        ("日本語のとても長い合言葉です", None),
        ("my password is a heron", None),
    ],
)
def test_check_password_refuses_what_is_easily_guessed(password, reason):
    if reason is None:
        assert check_password(password, user_name="annajensen") == password
        return
    with pytest.raises(BadInput, match=reason) as caught:
        check_password(password, user_name="annajensen")
    assert caught.value.where == "password"
    assert caught.value.hint


def test_check_password_lets_a_short_user_name_occur():
    assert check_password("bo builds boats", user_name="bo")


def test_check_password_gives_one_form_to_what_keyboards_compose_differently():
    composed, decomposed = "fl\u00f8de p\u00e5 gr\u00f8den", "fl\u00f8de pa\u030a gr\u00f8den"
    assert check_password(composed, user_name="x") == check_password(decomposed, user_name="x")


@given(st.text(max_size=400))
def test_check_password_answers_any_text_with_its_normal_form_or_bad_input(password):
    try:
        assert check_password(password, user_name="annajensen") == normal_form(password)
    except BadInput as refused:
        assert refused.hint


def test_generated_passwords_pass_the_check_and_differ():
    made = {generate_password() for _ in range(200)}
    assert len(made) == 200
    for password in made:
        assert check_password(password, user_name="admin") == password


def test_default_hasher_is_argon2id_above_the_floor_of_owasp():
    parameters = extract_parameters(DEFAULT_HASHER.hash("Seven quiet herons 7"))
    assert parameters.type.name == "ID"
    assert parameters.memory_cost >= 19_456
    assert parameters.time_cost >= 2


async def test_verify_tells_the_right_password_from_others():
    passwords = Passwords(CHEAP)
    kept = await passwords.hash("Seven quiet herons 7")
    assert await passwords.verify(kept, "Seven quiet herons 7")
    assert not await passwords.verify(kept, "Seven quiet herons 8")
    assert not await passwords.verify(kept, "")
    assert not await passwords.verify(kept, "\ud800 a lone surrogate")
    assert not await passwords.verify("no hash at all", "Seven quiet herons 7")


async def test_verify_takes_a_hash_for_nobody_too_and_says_no():
    calls = []

    class Watched(PasswordHasher):
        def verify(self, hash, password):
            calls.append(hash)
            return super().verify(hash, password)

    passwords = Passwords(Watched(time_cost=1, memory_cost=8, parallelism=1))
    assert not await passwords.verify(None, "Seven quiet herons 7")
    (nobody,) = calls
    # It costs what a real one costs, and was not refused for how it looks.
    real = extract_parameters(await passwords.hash("Seven quiet herons 7"))
    assert extract_parameters(nobody) == real
    with pytest.raises(VerifyMismatchError):
        CHEAP.verify(nobody, "Seven quiet herons 7")


async def test_verify_says_no_for_nobody_even_to_the_password_that_nobody_has():
    passwords = Passwords(CHEAP)
    passwords._nobody = await passwords.hash("Seven quiet herons 7")
    assert not await passwords.verify(None, "Seven quiet herons 7")


async def test_outdated_tells_hashes_of_weaker_parameters():
    weak = await Passwords(CHEAP).hash("Seven quiet herons 7")
    strong = Passwords(PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    assert strong.outdated(weak)
    assert not strong.outdated(await strong.hash("Seven quiet herons 7"))
