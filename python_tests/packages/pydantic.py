from decimal import Decimal
from enum import Enum
from typing import Literal

import extensions
import pydantic_core
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, computed_field


class Color(Enum):
    RED = "red"


class Item(BaseModel):
    model_config = ConfigDict(extra="forbid")
    price: Decimal
    color: Color = Color.RED
    kind: Literal["a", "b"] = "a"
    parent: "Item | None" = None

    @computed_field
    @property
    def double(self) -> Decimal:
        return self.price * 2


print(Item(price="1.50", parent={"price": 2}).model_dump_json(indent=1))
print(TypeAdapter(dict[str, list[int]]).validate_json('{"a": ["1", 2.0]}'))
try:
    Item.model_validate({"price": "x", "color": "blue", "other": 1, "kind": "c"})
except ValidationError as error:
    print(error)
print(pydantic_core.to_jsonable_python({1: {2}}), pydantic_core.__version__)
extensions.show(pydantic_core._pydantic_core)
