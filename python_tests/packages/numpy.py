import os

import extensions
import numpy as np
from numpy import ctypeslib

a = np.arange(12, dtype=float).reshape(3, 4)
print(np.einsum("ij,kj->ik", a, a), np.linalg.lstsq(a.T, np.ones(4), rcond=None)[2])
print(np.random.default_rng(7).normal(size=3).round(6), np.fft.rfft(a[0]).round(6))
np.savez_compressed("saved.npz", a=a)
print(np.load("saved.npz")["a"].sum(), np.get_include(), os.path.isdir(np.get_include()))
library = ctypeslib.load_library(
    "_multiarray_umath", os.path.join(os.path.dirname(np.__file__), "_core")
)
print(hasattr(library, "PyInit__multiarray_umath"))
print(
    [os.path.basename(info["filepath"]) for info in __import__("threadpoolctl").threadpool_info()]
)
np.show_config()
extensions.show(np._core._multiarray_umath)
