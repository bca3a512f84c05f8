import hashlib
import io
import os

import extensions
import matplotlib
from PIL import Image, ImageCms, ImageDraw, ImageFilter, ImageFont, features

image = Image.new("RGB", (120, 60), "white")
draw = ImageDraw.Draw(image)
# Opened by FreeType, with the C library.
path = os.path.join(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
draw.text((5, 5), "Text ä", font=ImageFont.truetype(path, 20), fill="red")
draw.ellipse((60, 30, 100, 55), outline="blue")
image = image.filter(ImageFilter.GaussianBlur(1)).rotate(10, resample=Image.Resampling.BICUBIC)
for name in "png", "jpeg", "webp", "tiff", "gif", "avif":
    content = io.BytesIO()
    try:
        image.save(content, name)
    except (OSError, KeyError) as error:
        print(name, error)
        continue
    data = content.getvalue()
    print(name, hashlib.sha256(data).hexdigest()[:16], Image.open(io.BytesIO(data)).size)
image.save("image.png")
print(ImageCms.createProfile("sRGB") is not None, ImageFont.truetype(path, 9).getname())
print([(name, features.check(name)) for name in features.get_supported()])
extensions.show(Image.core, ImageFont.core)
