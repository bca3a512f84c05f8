import tldextract

extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir="cache")
for name in "a.b.example.co.uk", "例え.みんな", "10.0.0.1", "x.github.io":
    print(extract(name))
print(extract("x.github.io", include_psl_private_domains=True), len(extract.tlds) > 1000)
