import os

import pymorphy3
import pymorphy3_dicts_ru

folder = pymorphy3_dicts_ru.get_path()
print(folder, sorted(os.listdir(folder)))
analyzer = pymorphy3.MorphAnalyzer(lang="ru")
for word in "стали", "кошки", "бутявкой":
    print(
        [
            (parse.normal_form, str(parse.tag), round(parse.score, 4))
            for parse in analyzer.parse(word)
        ]
    )
print(
    analyzer.parse("стол")[0].make_agree_with_number(5).word,
    analyzer.dictionary.meta["language_code"],
)
