"""Where the checkout is, and the shared imagery beside it."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("SEGTASKS_SHARED") or ROOT.parent / "shared")
