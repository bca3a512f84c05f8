import hashlib
import os

import cv2
import extensions
import numpy as np

image = np.zeros((60, 80, 3), np.uint8)
cv2.circle(image, (40, 30), 20, (0, 200, 255), -1)
cv2.putText(image, "cv", (5, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1)
edges = cv2.Canny(cv2.GaussianBlur(image, (5, 5), 0), 50, 150)
contours, _ = cv2.findContours(edges, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
print(len(contours), cv2.resize(image, None, fx=0.5, fy=0.5).shape, int(edges.sum()))
for name in ".png", ".jpg", ".webp":
    print(name, hashlib.sha256(cv2.imencode(name, image)[1].tobytes()).hexdigest()[:16])
cv2.imwrite("image.png", image)
print(cv2.imread("image.png").sum())
try:
    cv2.cvtColor(edges[0, 0], cv2.COLOR_BGR2GRAY)
except cv2.error as error:
    print(error.func, error.code)
print(cv2.__file__, os.path.isfile(cv2.__file__))
extensions.show()
