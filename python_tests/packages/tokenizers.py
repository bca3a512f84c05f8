import extensions
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, tokenizers, trainers

tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()])
trainer = trainers.BpeTrainer(vocab_size=60, special_tokens=["[UNK]"], show_progress=False)
tokenizer.train_from_iterator(["the thing and the other thing", "thé bänd"] * 5, trainer)
encoding = tokenizer.encode("the other band?")
print(encoding.tokens, encoding.ids, encoding.offsets)
print(tokenizer.decode(encoding.ids), tokenizer.get_vocab_size())
tokenizer.save("tokenizer.json")
print(Tokenizer.from_file("tokenizer.json").encode("thing").tokens)
extensions.show(tokenizers)
