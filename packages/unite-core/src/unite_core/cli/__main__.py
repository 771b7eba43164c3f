"""For launchers that take a module: torchrun --nproc_per_node 2 -m unite_core.cli train RECIPE."""

import sys

from unite_core.cli import main

sys.argv[0] = "unite"  # as the run's record of its command shall say
main()
