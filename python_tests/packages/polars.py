import io

import extensions
import polars as pl

frame = pl.DataFrame({"k": ["a", "b", "a"], "v": [1, 2, None], "l": [[1], [], [2, 3]]})
print(frame.group_by("k", maintain_order=True).agg(pl.col("v").sum(), pl.len()))
print(frame.lazy().filter(pl.col("v") > 1).select(pl.col("l").list.len()).collect())
print(
    pl.SQLContext(frame=frame)
    .execute("select k, max(v) m from frame group by k order by k")
    .collect()
)
print(frame.select(pl.col("k").map_elements(str.upper, return_dtype=pl.String)))
text = frame.drop("l").write_csv()
print(text, pl.read_csv(io.StringIO(text)).equals(frame.drop("l")))
try:
    frame.select("none")
except pl.exceptions.ColumnNotFoundError as error:
    print(str(error).splitlines()[0])
extensions.show()
