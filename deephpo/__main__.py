"""``python -m deephpo``: the command, where it is not on the PATH."""

import sys

from deephpo.cli.main import main

sys.exit(main())
