"""One thin script per stage of dvc.yaml: read a section, call one function, say what came of it."""

import os

# PyTorch's threads spin while they wait for one another, and so take the core that the other thread, or a worker that
# loads clips, needs to go on. Asleep they cost little where the machine is idle and save much where it is not.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
