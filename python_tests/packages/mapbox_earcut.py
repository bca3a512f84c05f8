import extensions
import mapbox_earcut
import numpy as np
from mapbox_earcut import _core

corners = np.array([[0, 0], [4, 0], [4, 4], [0, 4], [1, 1], [2, 1], [2, 2]], dtype=np.float64)
print(mapbox_earcut.triangulate_float64(corners, np.array([4, 7], dtype=np.uint32)))
try:
    mapbox_earcut.triangulate_float64(corners, np.array([9], dtype=np.uint32))
except ValueError as error:
    print(error)
extensions.show(_core)
