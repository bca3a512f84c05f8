import os

import extensions
import matplotlib

matplotlib.use("Agg")
matplotlib.rcParams["svg.hashsalt"] = "fixed"
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402

figure, axes = plt.subplots(2, 2, figsize=(4, 3))
x = np.linspace(0, 6, 50)
axes[0, 0].plot(x, np.sin(x), label="sin ä $\\alpha^2$")
axes[0, 0].legend()
axes[0, 1].contourf(np.add.outer(np.sin(x), np.cos(x)))
axes[1, 0].imshow(np.eye(5), cmap="magma")
axes[1, 1].tripcolor([0, 1, 0, 1], [0, 0, 1, 1], [1, 2, 3, 4])
figure.savefig("figure.png")
figure.savefig("figure.svg", metadata={"Date": None})
figure.savefig("figure.pdf", metadata={"CreationDate": None})
print(matplotlib.get_data_path(), matplotlib.matplotlib_fname(), len(plt.style.available))
with plt.style.context("ggplot"):
    print(plt.rcParams["axes.facecolor"])
font = os.path.join(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
print(os.path.samefile(matplotlib.font_manager.findfont("DejaVu Sans"), font))
extensions.show(matplotlib.ft2font, matplotlib._path)
