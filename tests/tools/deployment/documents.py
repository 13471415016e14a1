"""documents.py FILE...: the documents of YAML files as one JSON array, anchors resolved."""

import json
import sys

import yaml

found = []
for name in sys.argv[1:]:
    with open(name, encoding="utf-8") as text:
        found.extend(document for document in yaml.safe_load_all(text) if document is not None)
json.dump(found, sys.stdout)
