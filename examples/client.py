"""A client of a Dhakira server in Python, without generated code.

pip install grpcio grpcio-reflection
python examples/client.py http://127.0.0.1:50051
"""

import pathlib
import sys
import uuid

import grpc
from google.protobuf import descriptor_pool, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)


class Client:
    """Calls a server by the descriptors that its reflection gives."""

    def __init__(self, url, token=None):
        scheme, _, address = url.partition("://")
        if scheme == "https":
            credentials = grpc.ssl_channel_credentials()
            if token:
                credentials = grpc.composite_channel_credentials(
                    credentials, grpc.access_token_call_credentials(token)
                )
            self.channel = grpc.secure_channel(address, credentials)
        else:
            self.channel = grpc.insecure_channel(address)
        database = ProtoReflectionDescriptorDatabase(self.channel)
        self.pool = descriptor_pool.DescriptorPool(database)

    def call(self, service, method, **fields):
        """The answer of a call, or an iterator of its answers."""
        service = f"dhakira.v1.{service}"
        descriptor = self.pool.FindServiceByName(service).FindMethodByName(method)
        request, response = (
            message_factory.GetMessageClass(it)
            for it in (descriptor.input_type, descriptor.output_type)
        )
        kind = "unary_stream" if descriptor.server_streaming else "unary_unary"
        rpc = getattr(self.channel, kind)(
            f"/{service}/{method}", request.SerializeToString, response.FromString
        )
        return rpc(request(**fields))


def lines(name):
    """The lines of a file beside this program."""
    return pathlib.Path(__file__).with_name(name).read_text(encoding="utf-8").splitlines()


def main(url, token=None):
    client = Client(url, token)
    memory = f"example-{uuid.uuid4()}"
    client.call(
        "MemoryService",
        "CreateMemory",
        memory_id=memory,
        memory={"source_language_code": "ar", "target_language_code": "en"},
    )
    name = f"memories/{memory}"
    units = [line.split("\t") for line in lines("units.tsv")]
    units = [{"source": {"text": source}, "target": {"text": target}} for source, target in units]
    # The request id makes the write safe to repeat.
    client.call(
        "UnitService", "BatchCreateUnits", parent=name, units=units, request_id=str(uuid.uuid4())
    )
    found = client.call(
        "LookupService",
        "LookupSegments",
        settings={"memories": [{"name": name}], "min_score_percent": 60},
        segments=[{"segment": {"text": text}} for text in lines("queries.txt")],
    )
    for result in found.results:
        for match in result.matches:
            reasons = ", ".join(f"{it.reason} -{it.points:g}" for it in match.deductions)
            print(f"{match.score_percent:.2f} {match.unit.target.text} ({reasons})")
    client.call("MemoryService", "DeleteMemory", name=name, force=True)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: client.py URL [TOKEN]; a token needs https")
    main(*sys.argv[1:])
