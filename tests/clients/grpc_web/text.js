// Calls the server with the official client of gRPC-Web, which sends and reads messages as text (base64), as old browsers need.
//
// node text.js URL TOKEN DESCRIPTORS

import { readFileSync } from "node:fs";
import { create, createFileRegistry, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import XMLHttpRequest from "xhr2";

globalThis.XMLHttpRequest = XMLHttpRequest;
const { default: web } = await import("grpc-web");

const [url, token, descriptors] = process.argv.slice(2);
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(descriptors)));
const client = new web.GrpcWebClientBase({ format: "text" });
const metadata = { authorization: `Bearer ${token}` };

function described(service, method) {
  const { methods } = registry.getService(`dhakira.v1.${service}`);
  const { input, output, methodKind } = methods.find((it) => it.name === method);
  const kind = methodKind === "unary" ? web.MethodType.UNARY : web.MethodType.SERVER_STREAMING;
  const path = `/dhakira.v1.${service}/${method}`;
  const write = (message) => toBinary(input, create(input, message));
  const read = (bytes) => fromBinary(output, bytes);
  return [`${url}${path}`, new web.MethodDescriptor(path, kind, Object, Object, write, read)];
}

function call(service, method, message) {
  const [path, descriptor] = described(service, method);
  return client.unaryCall(path, message, metadata, descriptor);
}

function stream(service, method, message) {
  const [path, descriptor] = described(service, method);
  const messages = [];
  const begun = client.serverStreaming(path, message, metadata, descriptor);
  return new Promise((resolve, reject) => {
    begun.on("data", (it) => messages.push(it)).on("error", reject).on("end", () => resolve(messages));
  });
}

// The code of a call that fails, and what it says.
const failure = (call) => call.then(() => [0, ""], (error) => [error.code, error.message]);

const parent = "memories/m";
const segments = [{ segment: { text: "\u0646\u064e\u0639\u064e\u0645\u0652" } }];
const found = await call("LookupService", "LookupSegments", { settings: { memories: [{ name: parent }] }, segments });
const exported = await stream("UnitService", "ExportUnits", { parent });
console.log(JSON.stringify({
  found: found.results[0].matches.map((it) => [it.unit.target.text, it.scorePercent]),
  exported: exported.flatMap((it) => it.units.map((unit) => unit.target.text)),
  missing: await failure(call("UnitService", "GetUnit", { name: `${parent}/units/99999` })),
  missingStream: await failure(stream("UnitService", "ExportUnits", { parent: "memories/none" })),
}));
