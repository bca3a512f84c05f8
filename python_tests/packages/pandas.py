import io

import extensions
import pandas as pd

frame = pd.read_csv(io.StringIO("k,v,t\na,1,2024-01-01\nb,2,2024-03-31\na,,2024-12-31\n"))
frame["t"] = pd.to_datetime(frame["t"]).dt.tz_localize("Europe/Berlin")
print(frame.dtypes, frame.pivot_table(index="k", values="v", aggfunc="sum"), sep="\n")
print(frame.merge(frame, on="k").query("v_x > 1"), frame["v"].rolling(2, min_periods=1).mean())
frame.to_parquet("frame.parquet")
print(pd.read_parquet("frame.parquet").equals(frame))
# Its templates are beside its module.
print(frame.style.format(precision=1).set_uuid("x").to_html())
extensions.show(pd._libs.tslib, pd._libs.algos)
