import extensions
import regex

print(regex.findall(r"\p{Lu}\p{Ll}+", "Eins Ähre drei"), regex.fullmatch(r"(?:ab){e<=1}", "abx"))
print(regex.sub(r"(?<n>\w)(?&n)", r"[\g<n>]", "aabbc"), regex.split(r"\X", "e\u0301x"))
print(regex.search(r"(?r)\d", "1 2 3").captures(), regex.__version__)
try:
    regex.compile("(")
except regex.error as error:
    print(error)
from regex import _regex  # noqa: E402

extensions.show(_regex)
