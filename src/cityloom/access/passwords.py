"""Passwords: what is refused, and argon2id for those that are kept (OWASP ASVS 5.0, V6.2 and V11.4)."""

from __future__ import annotations

import asyncio
import unicodedata
from base64 import b64encode
from secrets import token_bytes

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION

from cityloom.access.credentials import new_spoken_secret
from cityloom.kernel.errors import BadInput

SHORTEST = 12
LONGEST = 256
_FEWEST_DIFFERENT = 5

#: 46 MiB, two passes, one lane: twice the floor that OWASP gives; a tenth of a second on a small server.
DEFAULT_HASHER = PasswordHasher(time_cost=2, memory_cost=47_104, parallelism=1)
#: Hashing is as dear to the server as to an attacker; this many at once bounds its memory.
_AT_ONCE = 2

#: What the commonest long passwords are made of, once digits and signs around them are taken away.
_STEMS = """
    password passwort kodeord adgangskode passw0rd p@ssw0rd p@ssword pa$$word pa$$w0rd motdepasse contraseña
    admin administrator root user guest default changeme changeit letmein welcome velkommen bienvenue
    iloveyou jegelskerdig sunshine princess football fodbold baseball basketball superman batman starwars
    dragon monkey shadow master trustno1 whatever computer internet samsung michael jennifer jessica
    liverpool chelsea arsenal barcelona realmadrid secret hemmelig temporary testing testtest
    correcthorsebatterystaple passwordpassword adminadmin welcomewelcome letmeinletmein
    thisismypassword mypassword yourpassword newpassword oldpassword supersecret topsecret
    qwerty qwertyuiop asdfghjkl zxcvbnm qazwsx qazwsxedc 1q2w3e4r 1q2w3e4r5t 1qaz2wsx 1qaz2wsx3edc q1w2e3r4
    zaq12wsx abc123 abcd1234 a1b2c3d4 aa123456 123qwe 123abc qwe123 asd123
    cityloom smartcity
"""
_COMMON_STEMS = frozenset(_STEMS.split())
_RUNS = (
    "abcdefghijklmnopqrstuvwxyz" * 2,
    "1234567890" * 4,
    "0123456789" * 4,
    "12345678900987654321",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
)


def normal_form(password: str) -> str:
    """The same characters however the keyboard composed them (NFKC, as NIST SP 800-63B advises)."""
    return unicodedata.normalize("NFKC", password)


def check_password(password: str, *, user_name: str, where: str = "password") -> str:
    """The password in its normal form. Raises BadInput when it is too easily guessed."""
    wanted = normal_form(password)
    hint = f"Use {SHORTEST} characters or more; a few words that nobody else would put together are best."
    if len(wanted) < SHORTEST:
        raise BadInput(f"The password has fewer than {SHORTEST} characters", hint=hint, where=where)
    if len(wanted) > LONGEST:
        raise BadInput(f"The password has more than {LONGEST} characters", hint="Shorten it.", where=where)
    folded = wanted.casefold()
    if len(user_name) >= 4 and user_name.casefold() in folded:
        raise BadInput("The password contains the user name", hint=hint, where=where)
    if len(set(folded)) < _FEWEST_DIFFERENT or _is_common(folded):
        raise BadInput("The password is one of the commonest", hint=hint, where=where)
    return wanted


def _is_common(folded: str) -> bool:
    unrepeated = _unrepeated(folded)
    if any(run in whole or run in whole[::-1] for run in (folded, unrepeated) for whole in _RUNS):
        return True
    return not {folded, unrepeated, _stem(folded), _unrepeated(_stem(folded))}.isdisjoint(_COMMON_STEMS)


def _stem(text: str) -> str:
    """The text without what is not a letter at either end."""
    letters = [position for position, character in enumerate(text) if character.isalpha()]
    return text[letters[0] : letters[-1] + 1] if letters else ""


def _unrepeated(text: str) -> str:
    """The shortest piece of which the text is a whole number of repetitions."""
    period = (text + text).find(text, 1)
    return text[:period] if period > 0 else text


def generate_password() -> str:
    """A first password to be read off a screen once: about 99 bits."""
    return new_spoken_secret(4)


def _of_nobody(hasher: PasswordHasher) -> str:
    """A hash of no password, as dear to verify as any of this hasher's; made without hashing."""
    salt, tag = (
        b64encode(token_bytes(size)).decode().rstrip("=") for size in (hasher.salt_len, hasher.hash_len)
    )
    costs = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2id$v={ARGON2_VERSION}${costs}${salt}${tag}"


class Passwords:
    """Hashes and verifies, a few at a time, beside the event loop."""

    def __init__(self, hasher: PasswordHasher = DEFAULT_HASHER) -> None:
        self._hasher = hasher
        self._places = asyncio.Semaphore(_AT_ONCE)
        # Verified against when there is no such account, so that the answer takes as long.
        self._nobody = _of_nobody(hasher)

    async def hash(self, password: str) -> str:
        """The argon2id hash of a password that `check_password` let through."""
        async with self._places:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def verify(self, kept: str | None, password: str) -> bool:
        """Whether the password is the one; for None, no account's, it takes as long and says no."""
        shown = normal_form(password[: LONGEST * 4])
        async with self._places:
            return await asyncio.to_thread(self._verify, kept, shown)

    def _verify(self, kept: str | None, shown: str) -> bool:
        try:
            same = self._hasher.verify(kept or self._nobody, shown.encode("utf-8", "surrogatepass"))
        except (VerificationError, InvalidHashError):
            return False
        return same and kept is not None

    def outdated(self, kept: str) -> bool:
        """Whether the hash was made with weaker parameters than today's."""
        return self._hasher.check_needs_rehash(kept)
