import datetime

import extensions
import psycopg
import psycopg_binary
from psycopg import adapt, pq, sql
from psycopg.types.json import Json

print(pq.__impl__, pq.version() > 150000, adapt.Transformer().__class__.__module__)
query = sql.SQL("select {}, {} from {}").format(
    sql.Literal("o'clock"), sql.Literal(Json({"a": [1]})), sql.Identifier("ta", 'b"le')
)
print(query.as_string(None))
transformer = adapt.Transformer()
print(
    transformer.dump_sequence(
        [1, "ä", None, datetime.date(2024, 1, 2), [1.5]], [adapt.PyFormat.AUTO] * 5
    )
)
print(pq.Escaping().escape_bytea(b"\x00ab"))
print(psycopg.conninfo.make_conninfo("dbname=x host=y", user="some one"))
try:
    psycopg.connect("host=127.0.0.1 port=1 dbname=x connect_timeout=5")
except psycopg.OperationalError as error:
    print(error)
extensions.show(psycopg_binary._psycopg, psycopg_binary.pq)
