import datetime
import uuid

import extensions
import orjson

value = {"t": datetime.datetime(2024, 1, 2), "u": uuid.UUID(int=5), "f": 1e300, "ü": [None, True]}
text = orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
print(text.decode(), orjson.loads(text))
for wrong in '{"a":', "[1,]", "\ud800":
    try:
        orjson.loads(wrong)
    except orjson.JSONDecodeError as error:
        print(error)
from orjson import orjson as compiled  # noqa: E402

extensions.show(compiled)
