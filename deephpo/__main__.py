"""``python -m deephpo``: the same command, where pip put it beside no PATH."""

import sys

from deephpo.cli.main import main

sys.exit(main())
