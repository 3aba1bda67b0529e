"""``python -m kansweep``."""

import sys

from kansweep.cli import main

sys.exit(main())
