"""`python -m pipeline COMMAND`: the same as `pipeline COMMAND`."""

import sys

from pipeline.cli.main import main

sys.exit(main())
