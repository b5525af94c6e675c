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


def noted(text: str) -> str:
    """The text itself: pages translate it."""
    return text


KINDS: dict[str, Kind] = {
    # The folder
    "no-city": Kind(
        "bad", noted("Without city.toml nothing can be started."), noted("Make one with `cityloom init`.")
    ),
    "configuration-wrong": Kind(
        "bad",
        noted("The city does not start with it."),
        noted("Correct city.toml; `cityloom check` looks at the plugins, too."),
    ),
    "folder-not-writable": Kind(
        "bad",
        noted("Nothing can be stored."),
        noted("Let the user that runs the city own the folder: `chown -R`, `chmod u+rwX`."),
    ),
    "folder-open-to-others": Kind(
        "warning",
        noted("The files hold digests of passwords, secrets, and the key of the running city."),
        noted("Keep it for its owner: `chmod -R go= FOLDER`."),
    ),
    "disk-nearly-full": Kind(
        "bad",
        noted("A full disk stores nothing: what devices send is refused."),
        noted("Make room on this disk, or move the stopped city's folder to a larger one."),
    ),
    "disk-fills-up": Kind(
        "warning",
        noted("Then nothing more can be stored."),
        noted("Make room, or plan for a larger disk. The page /system tells which files grow."),
    ),
    "backup-old": Kind(
        "warning",
        noted("What has come since then is lost with the disk."),
        noted("Make a backup every night: docs/guides/back_up_and_restore.md."),
    ),
    "clock-wrong": Kind(
        "bad",
        noted(
            "Readings, warnings and sessions get wrong times, and what expires does so too early or too late."
        ),
        noted("Set the clock, and let the machine keep it right (NTP: chrony, systemd-timesyncd)."),
    ),
    "certificate-unusable": Kind(
        "bad",
        noted("Devices cannot connect by TLS, and the city may not start."),
        noted("Put the certificate with its chain and its key, as PEM, where city.toml says."),
    ),
    "certificate-expires": Kind(
        "warning",
        noted("From then on no device connects."),
        noted("Renew it, and restart the city: it reads the certificate when it starts."),
    ),
    "certificate-expired": Kind(
        "bad", noted("No device connects any more."), noted("Renew it, and restart the city.")
    ),
    "mqtt-without-tls": Kind(
        "warning",
        noted("Everybody on the way can read the devices' tokens and send readings in their names."),
        noted("Give [mqtt] tls-certificate and tls-key, or listen on 127.0.0.1."),
    ),
    "pages-without-tls": Kind(
        "warning",
        noted("Passwords and sessions can be read on the way."),
        noted("Listen on 127.0.0.1 behind a proxy that speaks TLS: docs/guides/run_it_at_home.md."),
    ),
    "open-access": Kind(
        "warning",
        noted("Everybody who reaches this machine's loopback may read, change and delete everything."),
        noted("Start the city without --open-access; it is for trials."),
    ),
    "proxies-trust-everybody": Kind(
        "bad",
        noted("Whoever connects may say that they come from somewhere else: limits by address mean nothing."),
        noted("Name in `proxies` the addresses of the proxies alone."),
    ),
    "reaches-inside": Kind(
        "warning",
        noted(
            "Whoever may subscribe or register a source makes the city send requests into your own network."
        ),
        noted("Leave out `inside`, or bound it by `allow`."),
    ),
    # The databases
    "file-missing": Kind(
        "bad",
        noted("The city does not start without it."),
        noted("Restore all files of one and the same backup."),
    ),
    "database-damaged": Kind(
        "bad",
        noted("What it held may be lost, and the city ends when it comes to the place."),
        noted("Check the disk, then restore the whole folder from its backup."),
    ),
    "written-by-newer": Kind(
        "bad",
        noted("An older CityLoom cannot read it, and does not try."),
        noted("Install the newer version again, or restore the backup made before it."),
    ),
    "sqlite-too-old": Kind(
        "bad",
        noted("SQLite before 3.51.3 can damage a file when two connections copy its log back at once."),
        noted("Install apsw 3.54 or newer."),
    ),
    # The process
    "port-taken": Kind(
        "warning",
        noted(
            "The city takes another port when it starts, and nobody finds it there; "
            "asked for by name, it does not start."
        ),
        noted("Stop the other program, or start the city with --port or --mqtt-port."),
    ),
    "was-killed": Kind(
        "warning",
        noted("The machine went down, somebody ended it, or it had no memory left."),
        noted(
            "Nothing acknowledged is lost; start it again. `journalctl -k` tells whether memory was short."
        ),
    ),
    "does-not-answer": Kind(
        "bad", noted("Nobody reaches the city."), noted("Look at its log; stop it and start it again.")
    ),
    "memory-scarce": Kind(
        "warning",
        noted("The system ends a process that takes too much; everything is slow before that."),
        noted("Give the machine more memory, or end what else runs on it."),
    ),
    "files-scarce": Kind(
        "warning",
        noted("Then no connection can be taken any more."),
        noted("Let the process open more files: LimitNOFILE in its unit, `ulimit -n` in a shell."),
    ),
    "loop-late": Kind(
        "warning",
        noted("Every answer waits so long."),
        noted("See the slowest requests on /system; give the machine more processor."),
    ),
    # The river
    "stage-fails": Kind(
        "bad",
        noted("What it does is not done, though the city takes everything in."),
        noted("The message says why. It is tried again by itself; nothing is lost meanwhile."),
    ),
    "stage-behind": Kind(
        "warning",
        noted("What it does comes late: warnings, notifications, charts."),
        noted(
            "Wait if it catches up (/system tells); else see the log, and give the machine more processor."
        ),
    ),
    "cluster-away": Kind(
        "bad",
        noted("Changes do not reach the processes that remember; the feed keeps them meanwhile."),
        noted("See whether most of the cluster's servers run and let this city in: [nats] in city.toml."),
    ),
    "no-follower": Kind(
        "bad",
        noted("Nobody does it: history, charts and indicators stand still; the feed keeps what is missing."),
        noted("Start some: `cityloom up --stages NAME`, on any machine that reaches database and cluster."),
    ),
    "stage-skipped": Kind(
        "warning",
        noted("It was too slow, or began too late: it never saw these changes."),
        noted("Restart the city if its pages look wrong; see what kept it so long."),
    ),
    "commits-fail": Kind(
        "bad",
        noted("What was to be written then was refused."),
        noted("Look at the disk: room, rights, health (smartctl)."),
    ),
    "database-away": Kind(
        "bad",
        noted("Nothing can be written, and nobody can sign in. What is known is told for half a minute."),
        noted(
            "Start the server, or see what is between; writing goes on by itself. `cityloom check` says more."
        ),
    ),
    "commits-slow": Kind(
        "warning",
        noted("A disk that takes a second to keep something is overloaded, or about to fail."),
        noted("Look at what else writes to it, and at its health (smartctl)."),
    ),
    "parked-messages": Kind(
        "warning",
        noted("What devices sent could not be understood; it is kept, and counts for nothing."),
        noted("See the page /parked: each says what is wrong, and can be tried again."),
    ),
    "connector-down": Kind(
        "bad",
        noted("Nothing that it should hear comes in."),
        noted("Its message says why; it tries again by itself."),
    ),
    "plugin-broken": Kind(
        "bad", noted("The city runs without it."), noted("See `cityloom plugins`, and tell its owner.")
    ),
    "endpoint-failing": Kind(
        "warning",
        noted("It is not told what it subscribed to; what waits for longer than a day is given up."),
        noted("Ask whoever runs it, or pause the subscription on the page of other systems."),
    ),
    "source-failing": Kind(
        "warning",
        noted("Answers lack what it knows."),
        noted("Ask whoever runs it, or take its registration away on the page of other systems."),
    ),
    "line-down": Kind(
        "warning",
        noted("What this edge knows waits here; it is sent when the centre answers again."),
        noted("See that the line is up, and that the address of [edge] in city.toml is the centre's."),
    ),
    "edge-refused": Kind(
        "bad",
        noted("The centre takes nothing from this edge until it has a token that counts."),
        noted("Make a new token at the centre, and put it where [edge] in city.toml says."),
    ),
    "edge-gave-up": Kind(
        "warning",
        noted("More waited than the disk may hold: the centre never gets these readings."),
        noted("They stand in the edge's own history: cityloom export, and cityloom load at the centre."),
    ),
    "edge-parked": Kind(
        "warning",
        noted("The centre could not take these changes of this edge, so they are missing there."),
        noted("Its operator sees each with the reason among the parked messages; the log here names them."),
    ),
    "edge-token-ends": Kind(
        "warning",
        noted("From then on the centre takes nothing from this edge, and what it knows waits there."),
        noted("Make another token at the centre, and put it where [edge] in the edge's city.toml says."),
    ),
    "edge-silent": Kind(
        "warning",
        noted("What it knows is missing here, and what is shown of it is old."),
        noted("Ask whoever runs it whether its line is up, and whether its token counts."),
    ),
    "edge-clock": Kind(
        "warning",
        noted("Which of two values is the newer is told by the clocks of those who wrote them."),
        noted("Let both machines keep the time (NTP: chrony, systemd-timesyncd)."),
    ),
    "edge-conflicts": Kind(
        "warning",
        noted("Two places said different things of one attribute: the newer stands."),
        noted("See the page of other systems: it shows both values."),
    ),
    "starting": Kind(
        "warning", noted("Nobody is answered yet."), noted("Wait; a large feed takes a while to be read.")
    ),
}
