import extensions
import numpy as np
import scipy
from scipy import (
    integrate,
    interpolate,
    linalg,
    ndimage,
    optimize,
    signal,
    sparse,
    spatial,
    special,
)
from scipy.sparse import linalg as sparse_linalg

print(optimize.minimize(optimize.rosen, [1.3, 0.7], method="BFGS").x.round(4))
print(round(integrate.quad(np.sin, 0, np.pi)[0], 9), special.gamma(5.5).round(9))
print(linalg.expm(np.diag([0.0, 1.0])).round(9), linalg.eigvals(np.eye(2)))
matrix = sparse.diags([1.0, 2, 3]).tocsc()
print(sparse_linalg.spsolve(matrix, np.ones(3)).round(9))
print(
    spatial.KDTree([[0, 0], [1, 1]]).query([0.9, 0.8]), spatial.ConvexHull(np.eye(3)[:, :2]).volume
)
print(signal.butter(2, 0.3)[0].round(9), ndimage.label([[1, 0, 1]])[0])
print(interpolate.CubicSpline([0, 1, 2], [0, 1, 4])(1.5), scipy.stats.norm.cdf(1.0).round(9))
extensions.show(special._ufuncs, optimize._lbfgsb, spatial._ckdtree)
