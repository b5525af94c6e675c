"""Finds Chromium for the browser tests, or installs Debian's where that is possible.

CITYLOOM_CHROMIUM names one that lies elsewhere.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium() -> str | None:
    """The path of a Chromium on this machine, or None."""
    named = os.environ.get("CITYLOOM_CHROMIUM")
    return named or next((found for name in NAMES if (found := shutil.which(name))), None)


def main() -> int:
    """Make sure that there is one; returns the exit status."""
    if chromium():
        return 0
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        print(
            "The browser tests need Chromium and there is none. Install it (Debian: apt install chromium) "
            "or name one in CITYLOOM_CHROMIUM. They are skipped until then.",
            file=sys.stderr,
        )
        return 0
    print("Installing Chromium for the browser tests ...")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update", "-qq"], ["install", "-qq", "--yes", "--no-install-recommends", "chromium"]):
        done = subprocess.run(["apt-get", *words], env=environment, stdout=subprocess.DEVNULL)
        if done.returncode:
            print("apt-get could not install Chromium.", file=sys.stderr)
            return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
