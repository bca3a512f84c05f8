import extensions
import yaml
from yaml import _yaml

text = "a: &x [1, 2.5, 2024-01-02]\nb: *x\nc: |\n  ü\n  text\n"
value = yaml.load(text, Loader=yaml.CSafeLoader)
print(value)
print(yaml.dump(value, Dumper=yaml.CSafeDumper, allow_unicode=True))
try:
    yaml.load("a: [1, 2", Loader=yaml.CSafeLoader)
except yaml.YAMLError as error:
    print(error)
extensions.show(_yaml)
