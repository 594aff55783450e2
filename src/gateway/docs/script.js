// Draws the description of the API, and sends calls from the page. Nothing is fetched from elsewhere, and nothing is kept.
"use strict";

let root;
const byId = (id) => document.getElementById(id);

/** An element with attributes and children. */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((it) => it !== null && it !== undefined));
  return element;
}

/** A text whose words between backticks are code. */
function prose(text) {
  return text.split("`").map((part, number) => (number % 2 ? make("code", {}, part) : part));
}

/** Paragraphs and lists. */
function paragraphs(text) {
  return (text || "").split("\n\n").filter(Boolean).map((part) => make("p", {}, ...prose(part.replace(/^- /, "• "))));
}

const resolved = (schema) => {
  const at = schema && schema.$ref;
  return at ? at.slice(2).split("/").reduce((inside, key) => inside[key], root) : schema;
};
const nameOf = (schema) => (schema.$ref ? schema.$ref.split("/").pop() : "");

/** What a value is, in a few words. */
function kind(schema) {
  const real = resolved(schema);
  if (real.type === "array") return `list of ${kind(real.items)}`;
  if (schema.$ref) return nameOf(schema);
  const words = [[].concat(real.type || (real.anyOf ? real.anyOf.map(kind) : "object")).join(" or ")];
  if (real.format) words.push(`(${real.format})`);
  if (real.minimum !== undefined && real.maximum !== undefined && Math.abs(real.minimum) < 2 ** 31) words.push(`${real.minimum} to ${real.maximum}`);
  if (real.maxLength) words.push(`at most ${real.maxLength.toLocaleString("en")} characters`);
  return words.join(" ");
}

/** The fields of a message, opened on demand. */
function fields(schema) {
  let real = resolved(schema);
  const required = [].concat(...(real.allOf || []).map((it) => it.required || []), real.required || []);
  if (real.allOf) real = resolved(real.allOf[0]);
  if (real.type === "array") return fields(real.items);
  if (real.enum) return make("ul", {}, ...real.enum.map((it) => make("li", {}, make("code", {}, it))));
  const rows = Object.entries(real.properties || {}).map(([name, property]) => {
    const inner = resolved(property.type === "array" ? property.items : property);
    const head = [make("code", {}, name), ` ${kind(property)}`, required.includes(name) ? " · required" : "",
      property.readOnly ? " · in answers only" : ""];
    const about = make("div", { class: "dim" }, ...prose(property.description || ""));
    if (!inner.properties && !inner.enum) return make("li", {}, ...head, about);
    const more = make("details", {}, make("summary", {}, ...head));
    more.addEventListener("toggle", () => { if (more.open && !more.dataset.made) { more.dataset.made = "1"; more.append(fields(property)); } });
    return make("li", {}, more, about);
  });
  return make("ul", {}, ...rows);
}

const text = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 2));
const quoted = (value) => `'${value.replaceAll("'", "'\\''")}'`;

/** An operation with what is needed to send it. */
class Operation {
  constructor(verb, path, description) {
    Object.assign(this, { verb, path, description, inputs: [] });
    const content = (description.requestBody || {}).content || {};
    this.json = content["application/json"];
    this.file = content["application/octet-stream"] && make("input", { type: "file", "aria-label": "file" });
    const example = this.json && this.json.examples && this.json.examples.example.value;
    if (this.json) this.body = make("textarea", { "aria-label": "body", spellcheck: "false", dir: "auto" }, JSON.stringify(example || {}, null, 2));
  }

  draw() {
    const { verb, path, description } = this;
    const whole = make("details", { class: "operation", id: description.operationId },
      make("summary", {}, make("span", { class: `verb ${verb}` }, verb.toUpperCase()), make("span", { class: "path" }, path),
        make("span", { class: "dim" }, ...prose(description.summary))));
    whole.addEventListener("toggle", () => { if (whole.open && !whole.dataset.made) { whole.dataset.made = "1"; whole.append(this.inside()); } });
    whole.dataset.words = `${verb} ${path} ${description.operationId} ${description.summary}`.toLowerCase();
    return whole;
  }

  inside() {
    const answer = this.description.responses["200"];
    const parts = [...paragraphs(this.description.description), make("p", { class: "dim" }, "By gRPC: ", make("code", {}, this.description["x-grpc-method"]))];
    if (this.description.parameters.length) parts.push(make("h3", {}, "Parameters"), this.parameters());
    if (this.json) parts.push(make("h3", {}, "Body"), make("div", { class: "schema" }, fields(this.json.schema)), this.body);
    if (this.file) parts.push(make("h3", {}, "File"), ...paragraphs(this.description.requestBody.description), this.file);
    parts.push(make("h3", {}, "Answer"), ...this.answers(answer), make("p", { class: "dim" }, "Errors: ",
      Object.keys(this.description.responses).filter((it) => it !== "200").join(", ")));
    const command = make("pre", {}, this.curl());
    const refresh = () => { command.textContent = this.curl(); };
    const result = make("pre", { hidden: true, dir: "auto", tabindex: "0" });
    const send = make("button", { type: "button", onclick: () => this.send(result, send, stop) }, "Send");
    const stop = make("button", { type: "button", hidden: true, onclick: () => this.stopping.abort() }, "Stop");
    parts.push(make("h3", {}, "Try it"), command, make("div", { class: "row" }, send, stop), result);
    const inside = make("div", { class: "inside" }, ...parts);
    inside.addEventListener("input", refresh);
    return inside;
  }

  parameters() {
    const rows = this.description.parameters.map((it) => {
      const example = it.example === undefined || (it.in === "query" && !it.required) ? "" : [].concat(it.example).join(",");
      const names = resolved(it.schema).enum;
      const input = names
        ? make("select", { "aria-label": it.name }, make("option", { value: "" }, ""), ...names.map((name) => make("option", {}, name)))
        : make("input", { "aria-label": it.name, value: example, dir: "auto", placeholder: it.example === undefined ? "" : [].concat(it.example).join(",") });
      this.inputs.push([it, input]);
      return make("tr", {}, make("td", {}, make("code", {}, it.name), make("div", { class: "dim" }, kind(it.schema), it.required ? " · required" : "")),
        make("td", {}, input, make("div", { class: "dim" }, ...prose(it.description || ""))));
    });
    return make("table", {}, make("tbody", {}, ...rows));
  }

  answers(answer) {
    const types = Object.keys(answer.content).sort((one, other) => Boolean(answer.content[other]["x-item-schema"]) - Boolean(answer.content[one]["x-item-schema"]));
    return types.slice(0, 1).flatMap((type) => {
      const media = answer.content[type];
      const example = media.examples && text(media.examples.example.value);
      return [make("p", { class: "dim" }, type, ...types.slice(1).map((it) => `, ${it}`)),
        make("div", { class: "schema" }, fields(media["x-item-schema"] || media.schema)), example ? make("pre", { dir: "auto" }, example) : null];
    });
  }

  /** The path with its parameters and query. */
  target() {
    let path = this.path;
    const query = [];
    for (const [it, input] of this.inputs) {
      if (it.in === "path") path = path.replace(`{${it.name}}`, encodeURIComponent(input.value));
      else if (input.value) {
        const values = it.schema.type === "array" ? input.value.split(",") : [input.value];
        query.push(...values.map((value) => `${encodeURIComponent(it.name)}=${encodeURIComponent(value.trim())}`));
      }
    }
    return query.length ? `${path}?${query.join("&")}` : path;
  }

  curl() {
    const words = ["curl"];
    if (this.verb !== "get" && !(this.verb === "post" && (this.body || this.file))) words.push(`-X ${this.verb.toUpperCase()}`);
    if (byId("token").value) words.push("-H \"authorization: Bearer $DHAKIRA_TOKEN\"");
    if (this.body) words.push("-H 'content-type: application/json'", `-d ${quoted(this.body.value)}`);
    if (this.file) words.push("-H 'content-type: application/octet-stream'", `--data-binary @${this.file.files.length ? quoted(this.file.files[0].name) : "FILE"}`);
    words.push(quoted(location.origin + this.target()));
    return words.join(" ");
  }

  async send(result, send, stop) {
    this.stopping = new AbortController();
    const headers = {};
    if (byId("token").value) headers.authorization = `Bearer ${byId("token").value}`;
    if (this.body) headers["content-type"] = "application/json";
    if (this.file) headers["content-type"] = "application/octet-stream";
    const body = this.body ? this.body.value : this.file ? this.file.files[0] || "" : undefined;
    result.hidden = false;
    result.textContent = "…";
    send.disabled = true;
    stop.hidden = false;
    try {
      const answer = await fetch(this.target(), { method: this.verb.toUpperCase(), headers, body, signal: this.stopping.signal, credentials: "omit" });
      const head = `${answer.status} ${answer.statusText}\nx-request-id: ${answer.headers.get("x-request-id") || "-"}\n\n`;
      result.textContent = head;
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let all = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        all += value;
        result.textContent = head + all.slice(0, 200000);
        if (all.length > 200000) { this.stopping.abort(); break; }
      }
      try { result.textContent = head + JSON.stringify(JSON.parse(all), null, 2); } catch { /* Lines, or a file. */ }
    } catch (error) {
      result.textContent += error.name === "AbortError" ? "\n(stopped)" : `\n${error.message}`;
    }
    send.disabled = false;
    stop.hidden = true;
  }
}

function draw() {
  byId("about").append(...prose(root.info.description));
  const main = byId("operations");
  main.replaceChildren();
  for (const tag of root.tags) {
    const all = Object.entries(root.paths).flatMap(([path, item]) => Object.entries(item)
      .filter(([, it]) => it.tags.includes(tag.name)).map(([verb, it]) => new Operation(verb, path, it).draw()));
    main.append(make("section", { id: tag.name }, make("h2", {}, tag.name), ...paragraphs(tag.description), ...all));
    byId("services").append(make("a", { href: `#${tag.name}` }, tag.name));
  }
  byId("find").addEventListener("input", (event) => {
    const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const section of main.children) {
      let shown = 0;
      for (const it of section.querySelectorAll(".operation")) {
        it.hidden = !words.every((word) => it.dataset.words.includes(word));
        shown += it.hidden ? 0 : 1;
      }
      section.hidden = shown === 0;
    }
  });
  const chosen = location.hash && byId(location.hash.slice(1));
  if (chosen) {
    if ("open" in chosen) chosen.open = true;
    chosen.scrollIntoView();
  }
}

fetch("/openapi.json", { credentials: "omit" })
  .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(`${answer.status}`))))
  .then((json) => { root = json; draw(); })
  .catch((error) => { byId("state").textContent = `openapi.json cannot be read: ${error.message}`; });
