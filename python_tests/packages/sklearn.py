import extensions
import numpy as np
import sklearn.datasets
from sklearn import cluster, ensemble, linear_model, neighbors, pipeline, preprocessing, svm, tree

x, y = sklearn.datasets.load_iris(return_X_y=True)
print(x.shape, sklearn.datasets.load_iris().filename, sklearn.datasets.load_iris().DESCR[:40])
model = pipeline.make_pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression())
print(round(model.fit(x, y).score(x, y), 4), round(svm.SVC().fit(x, y).score(x, y), 4))
forest = ensemble.RandomForestClassifier(5, random_state=0, n_jobs=2).fit(x, y)
print(round(forest.score(x, y), 4), forest.feature_importances_.round(4))
print(np.bincount(cluster.KMeans(3, n_init=1, random_state=0).fit(x).labels_))
print(
    neighbors.KNeighborsClassifier().fit(x, y).predict(x[:3]),
    tree.export_text(tree.DecisionTreeClassifier(max_depth=1, random_state=0).fit(x, y)),
)
# A page whose style sheet is beside its module.
print(len(sklearn.utils.estimator_html_repr(model)) > 1000)
print(sklearn.datasets.load_sample_images().images[0].shape)
extensions.show(sklearn.tree._tree)
