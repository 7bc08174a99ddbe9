"""What every test runs under: one thread of torch, and the same hypothesis examples each time."""

import os

from hypothesis import settings

# Set before anything imports torch, and inherited by the processes that tests start.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

settings.register_profile("sansi", derandomize=True, deadline=None, max_examples=50, database=None)
settings.load_profile("sansi")
