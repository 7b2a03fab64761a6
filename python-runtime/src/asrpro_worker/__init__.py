"""The worker process of asrpro: one engine and one model. The process ends to return its memory."""

import os

# NumPy's OpenBLAS reads this when it is loaded. With another number of threads its sums differ in the last bit, and so
# did the text of one file: a machine with two cores wrote a comma that a replica with one core did not.
os.environ["OPENBLAS_NUM_THREADS"] = "1"
