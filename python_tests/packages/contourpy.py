import contourpy
import extensions
import numpy as np
from contourpy import _contourpy

z = np.add.outer(np.arange(4.0) ** 2, np.arange(3.0))
generator = contourpy.contour_generator(z=z, name="threaded", thread_count=2, chunk_count=2)
print([line.round(6).tolist() for line in contourpy.contour_generator(z=z).lines(3.5)])
print(
    contourpy.contour_generator(z=z, name="serial").filled(1, 2)[0][0].shape, generator.chunk_count
)
try:
    contourpy.contour_generator(z=[1])
except (TypeError, ValueError) as error:
    print(error)
extensions.show(_contourpy)
