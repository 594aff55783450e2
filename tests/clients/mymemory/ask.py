"""Asks for translations with two programs that speak the protocol of MyMemory: `translate` and `deep-translator`.

ask.py URL TEXT…

Both have the address of the service as a value that can be set. `deep-translator` names languages with their country.
"""

import json
import sys

from deep_translator import MyMemoryTranslator
from translate import Translator
from translate.providers import MyMemoryProvider

url, *texts = sys.argv[1:]
MyMemoryProvider.base_url = url
translate = Translator(provider="mymemory", from_lang="ar", to_lang="en", email="anna@example.org")
deep = MyMemoryTranslator(source="ar-SA", target="en-GB", email="anna@example.org")
deep._base_url = url
answers = []
for text in texts:
    first, *matches = deep.translate(text, return_all=True)
    answers.append({"translate": translate.translate(text), "deep": first, "matches": matches})
print(json.dumps(answers))
