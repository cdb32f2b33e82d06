from __future__ import annotations

import sys
from pathlib import Path

# Tests of one layer share helpers that are no tests.
sys.path.insert(0, str(Path(__file__).parent))
