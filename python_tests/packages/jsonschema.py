import jsonschema
import jsonschema_specifications
from jsonschema import validators

schema = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 3}, "m": {"format": "date"}},
    "required": ["x"],
}
print(validators.validator_for(schema).__name__, sorted(jsonschema_specifications.REGISTRY)[:4])
validator = jsonschema.Draft202012Validator(
    schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
)
for error in sorted(validator.iter_errors({"n": 1.5, "m": "never"}), key=str):
    print(error.message, list(error.path))
try:
    jsonschema.Draft7Validator.check_schema({"type": "none"})
except jsonschema.SchemaError as error:
    print(error)
