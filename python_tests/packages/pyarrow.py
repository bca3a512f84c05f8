import os

import extensions
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from pyarrow import csv, feather, parquet

table = pa.table({"k": ["a", "b", "a"], "v": [1, 2, None], "l": [[1], [], [2, 3]]})
print(table.group_by("k").aggregate([("v", "sum")]), pc.sum(table["v"]))
parquet.write_table(table, "table.parquet", compression="zstd")
print(parquet.read_metadata("table.parquet").num_rows)
feather.write_feather(table, "table.feather")
print(ds.dataset("table.feather", format="feather").to_table(filter=ds.field("v") > 1).to_pylist())
with open("table.csv", "w") as file:
    file.write("a,b\n1,x\n2,ü\n")
print(csv.read_csv("table.csv"))
print(pa.get_include(), os.path.isdir(pa.get_include()), pa.get_libraries(), pa.get_library_dirs())
try:
    table["none"]
except KeyError as error:
    print(error)
extensions.show(pa.lib)
