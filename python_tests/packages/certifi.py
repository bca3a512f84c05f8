import os
import ssl

import certifi
import requests.certs

context = ssl.create_default_context(cafile=certifi.where())
print(certifi.where(), len(context.get_ca_certs()) > 100, context.cert_store_stats()["crl"])
print(os.path.isfile(certifi.where()), certifi.contents().count("BEGIN") > 100)
print(requests.certs.where() == certifi.where())
ssl.create_default_context().load_verify_locations(certifi.where())
print("loaded", requests.Session().get_adapter("https://example.org") is not None)
