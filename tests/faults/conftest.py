"""Lets the tests here, and the benchmark of the same name, share one harness."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
