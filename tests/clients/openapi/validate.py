"""Validates the description at an address as OpenAPI 3.1, and prints its version and number of paths; fails with what is wrong."""

import json
import sys

from jsonschema_path.handlers import all_urls_handler
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

description = all_urls_handler(sys.argv[1])
validate(description, cls=OpenAPIV31SpecValidator)
print(json.dumps([description["openapi"], len(description["paths"])]))
