"""The tests; they and the processes that they start compute on one thread each.

As many tests run at a time as the machine has cores. More threads would only wait for each other,
and sums would be added up in another order. OpenMP reads its variable once, when it is loaded.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"
