"""Uses the client that openapi-python-client generated: looks up, creates a memory and a unit, lists, and fails.

client.py PACKAGE URL TOKEN
"""

import importlib
import json
import sys
from pathlib import Path

package, url, token = sys.argv[1:]
package = Path(package)
sys.path.insert(0, str(package.parent))
generated = importlib.import_module(package.name)
models = importlib.import_module(f"{package.name}.models")
client = generated.AuthenticatedClient(base_url=url, token=token)


def call(service, method, by=client, **arguments):
    """The whole answer to a call; modules and arguments have the names of the generator."""
    module = importlib.import_module(f"{package.name}.api.{service}_service.{service}_service_{method}")
    return module.sync_detailed(client=by, **arguments)


lookup = models.LookupSegmentsRequest.from_dict(
    {
        "settings": {"memories": [{"name": "memories/m"}]},
        "segments": [{"segment": {"text": "\u0627\u0641\u062a\u062d \u0642\u0627\u0626\u0645\u0629 \u00ab\u0627\u0644\u0625\u0639\u062f\u0627\u062f\u0627\u062a\u00bb"}}],
    }
)
best = call("lookup", "lookup_segments", body=lookup).parsed.results[0].matches[0]
memory = models.Memory.from_dict({"sourceLanguageCode": "ar", "targetLanguageCode": "en"})
call("memory", "create_memory", memory_id="generated", body=memory)
unit = models.Unit.from_dict(
    {"source": {"text": "source"}, "target": {"text": "target"}, "context": {"contextId": "menu/new"}}
)
created = call("unit", "create_unit", memory="generated", body=unit)
listed = call("unit", "list_units", memory="generated").parsed.units
missing = call("unit", "get_unit", memory="generated", unit="99")
stranger = call("memory", "list_memories", by=generated.Client(base_url=url))
print(
    json.dumps(
        {
            "best": [best.unit.target.text, best.score_percent],
            "created": created.parsed.unit.name,
            "listed": [[it.source.text, it.target.text, it.context.context_id] for it in listed],
            "missing": [int(missing.status_code), missing.parsed.message],
            "stranger": int(stranger.status_code),
        }
    )
)
