"""What is found wrong with a running or a stopped city: what it is, why it matters, what to do."""

from __future__ import annotations

from typing import Literal

import msgspec

#: bad: the city does not work, or loses something; warning: it will, or somebody is badly served.
Level = Literal["warning", "bad"]


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """One finding. `id` is that of `KINDS`; the rest is for people."""

    id: str
    level: Level
    what: str
    why: str
    remedy: str
    #: The file, the stage, the address at fault.
    where: str = ""


class Kind(msgspec.Struct, frozen=True):
    """A kind of finding."""

    level: Level
    why: str
    remedy: str


def found(kind: str, what: str, where: str = "", *, remedy: str = "") -> Finding:
    """A finding of a kind in `KINDS`; `remedy` says better than the kind what to do here."""
    known = KINDS[kind]
    return Finding(kind, known.level, what, known.why, remedy or known.remedy, where)


KINDS: dict[str, Kind] = {
    # The folder
    "no-city": Kind("bad", "Without city.toml nothing can be started.", "Make one with `cityloom init`."),
    "configuration-wrong": Kind(
        "bad",
        "The city does not start with it.",
        "Correct city.toml; `cityloom check` looks at the plugins, too.",
    ),
    "folder-not-writable": Kind(
        "bad",
        "Nothing can be stored.",
        "Let the user that runs the city own the folder: `chown -R`, `chmod u+rwX`.",
    ),
    "folder-open-to-others": Kind(
        "warning",
        "The files hold digests of passwords, what is internal and secret, and the key of the running city.",
        "Keep it for its owner: `chmod -R go= FOLDER`.",
    ),
    "disk-nearly-full": Kind(
        "bad",
        "A full disk stores nothing: what devices send is refused.",
        "Make room on this disk, or move the stopped city's folder to a larger one.",
    ),
    "disk-fills-up": Kind(
        "warning",
        "Then nothing more can be stored.",
        "Make room, or plan for a larger disk. The page /system tells which files grow.",
    ),
    "clock-wrong": Kind(
        "bad",
        "Readings, warnings and sessions get wrong times, and what expires does so too early or too late.",
        "Set the clock, and let the machine keep it right (NTP: chrony, systemd-timesyncd).",
    ),
    "certificate-unusable": Kind(
        "bad",
        "Devices cannot connect by TLS, and the city may not start.",
        "Put the certificate with its chain and its key, as PEM, where city.toml says.",
    ),
    "certificate-expires": Kind(
        "warning",
        "From then on no device connects.",
        "Renew it, and restart the city: it reads the certificate when it starts.",
    ),
    "certificate-expired": Kind("bad", "No device connects any more.", "Renew it, and restart the city."),
    "mqtt-without-tls": Kind(
        "warning",
        "Everybody on the way can read the devices' tokens and send readings in their names.",
        "Give [mqtt] tls-certificate and tls-key, or listen on 127.0.0.1.",
    ),
    "pages-without-tls": Kind(
        "warning",
        "Passwords and sessions can be read on the way.",
        "Listen on 127.0.0.1 behind a proxy that speaks TLS: docs/guides/run_it_at_home.md.",
    ),
    "open-access": Kind(
        "warning",
        "Everybody who reaches this machine's loopback may read, change and delete everything.",
        "Start the city without --open-access; it is for trials.",
    ),
    "proxies-trust-everybody": Kind(
        "bad",
        "Whoever connects may say that they come from somewhere else: limits by address mean nothing.",
        "Name in `proxies` the addresses of the proxies alone.",
    ),
    "reaches-inside": Kind(
        "warning",
        "Whoever may subscribe or register a source makes the city send requests into your own network.",
        "Leave out `inside`, or bound it by `allow`.",
    ),
    # The databases
    "file-missing": Kind(
        "bad", "The city does not start without it.", "Restore all files of one and the same backup."
    ),
    "database-damaged": Kind(
        "bad",
        "What it held may be lost, and the city ends when it comes to the place.",
        "Check the disk, then restore the whole folder from its backup.",
    ),
    "written-by-newer": Kind(
        "bad",
        "An older CityLoom cannot read it, and does not try.",
        "Install the newer version again, or restore the backup made before it.",
    ),
    "sqlite-too-old": Kind(
        "bad",
        "SQLite before 3.51.3 can damage a file when two connections copy its log back at once.",
        "Install apsw 3.54 or newer.",
    ),
    # The process
    "port-taken": Kind(
        "warning",
        "The city takes another port when it starts, and nobody finds it there; asked for by name, it does "
        "not start.",
        "Stop the other program, or start the city with --port or --mqtt-port.",
    ),
    "was-killed": Kind(
        "warning",
        "It did not end by itself: the machine went down, somebody killed it, or it had no memory left.",
        "Nothing acknowledged is lost; start it again. `journalctl -k` tells whether memory was short.",
    ),
    "does-not-answer": Kind(
        "bad", "Nobody reaches the city.", "Look at its log; stop it and start it again."
    ),
    "memory-scarce": Kind(
        "warning",
        "The system ends a process that takes too much; everything is slow before that.",
        "Give the machine more memory, or end what else runs on it.",
    ),
    "files-scarce": Kind(
        "warning",
        "Then no connection can be taken any more.",
        "Let the process open more files: LimitNOFILE in its unit, `ulimit -n` in a shell.",
    ),
    "loop-late": Kind(
        "warning",
        "Every answer waits so long.",
        "See the slowest requests on /system; give the machine more processor.",
    ),
    # The river
    "stage-fails": Kind(
        "bad",
        "What it does is not done, though the city takes everything in.",
        "The message says why. It is tried again by itself; nothing is lost meanwhile.",
    ),
    "stage-behind": Kind(
        "warning",
        "What it does comes late: warnings, notifications, charts.",
        "Wait if it catches up (/system tells); else see the log, and give the machine more processor.",
    ),
    "stage-skipped": Kind(
        "warning",
        "It was too slow, or began too late: it never saw these changes.",
        "Restart the city if its pages look wrong; see what kept it so long.",
    ),
    "commits-fail": Kind(
        "bad",
        "What was to be written then was refused.",
        "Look at the disk: room, rights, health (smartctl).",
    ),
    "database-away": Kind(
        "bad",
        "Nothing can be written, and nobody can sign in; what is known is still told.",
        "Start the server, or see what is between; writing goes on by itself. `cityloom check` says more.",
    ),
    "commits-slow": Kind(
        "warning",
        "A disk that takes a second to keep something is overloaded, or about to fail.",
        "Look at what else writes to it, and at its health (smartctl).",
    ),
    "parked-messages": Kind(
        "warning",
        "What devices sent could not be understood; it is kept, and counts for nothing.",
        "See the page /parked: each says what is wrong, and can be tried again.",
    ),
    "connector-down": Kind(
        "bad", "Nothing that it should hear comes in.", "Its message says why; it tries again by itself."
    ),
    "plugin-broken": Kind("bad", "The city runs without it.", "See `cityloom plugins`, and tell its owner."),
    "endpoint-failing": Kind(
        "warning",
        "It is not told what it subscribed to; what waits for longer than a day is given up.",
        "Ask whoever runs it, or pause the subscription on the page of other systems.",
    ),
    "source-failing": Kind(
        "warning",
        "Answers lack what it knows.",
        "Ask whoever runs it, or take its registration away on the page of other systems.",
    ),
    "starting": Kind("warning", "Nobody is answered yet.", "Wait; a large feed takes a while to be read."),
}
