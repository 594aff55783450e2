// Calls the server by gRPC-Web, with the client that Connect gives to pages: unary calls, a stream of the server, and errors.
//
// node calls.js URL TOKEN DESCRIPTORS
//
// The messages are described by a descriptor set, so nothing is generated.

import { readFileSync } from "node:fs";
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";

const [url, token, descriptors] = process.argv.slice(2);
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(descriptors)));
const transport = createGrpcWebTransport({ baseUrl: url });
const client = (service) => createClient(registry.getService(`dhakira.v1.${service}`), transport);
const [memories, units, lookups] = ["MemoryService", "UnitService", "LookupService"].map(client);
const options = { headers: { authorization: `Bearer ${token}` } };

// The code of a call that fails, and the reason in its details.
async function failure(call) {
  try {
    await call;
  } catch (error) {
    // The details are of google.rpc, which the descriptors need not describe.
    const details = ConnectError.from(error).details.map((it) => it.type);
    return [Code[error.code], details];
  }
  return ["Ok", []];
}

const parent = "memories/web";
const memory = { sourceLanguageCode: "ar", targetLanguageCode: "en" };
await memories.createMemory({ memoryId: "web", memory }, options);
const pairs = Array.from({ length: 1000 }, (_, number) => [`\u062c\u0645\u0644\u0629 ${number}`, `Sentence ${number}`]);
for (let first = 0; first < pairs.length; first += 200) {
  const some = pairs.slice(first, first + 200);
  const made = some.map(([source, target]) => ({ source: { text: source }, target: { text: target } }));
  await units.batchCreateUnits({ parent, units: made }, options);
}

const answer = await lookups.lookupSegments(
  { settings: { memories: [{ name: parent }] }, segments: [{ segment: { text: pairs[42][0] } }] },
  options,
);
const [best] = answer.results[0].matches;

let [exported, messages] = [0, 0];
for await (const part of units.exportUnits({ parent }, options)) {
  messages += 1;
  for (const unit of part.units) {
    const [source, target] = pairs[exported++];
    if (unit.source.text !== source || unit.target.text !== target) throw new Error(`unit ${exported} is ${unit.name}`);
  }
}

console.log(JSON.stringify({
  best: [best.unit.target.text, best.scorePercent, best.matchRate],
  exported,
  severalMessages: messages > 1,
  missing: await failure(units.getUnit({ name: `${parent}/units/99999` }, options)),
  missingStream: await failure(units.exportUnits({ parent: "memories/none" }, options)[Symbol.asyncIterator]().next()),
  stranger: await failure(memories.listMemories({})),
}));
