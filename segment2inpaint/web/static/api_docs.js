// @ts-check
/** The description of the API, drawn from its OpenAPI. */
import { call, takeToken } from "./api.js";
import { at, make } from "./app.js";

const HERE = location.origin;

at("curl").textContent = `S=${HERE}/api/v1
photo=$(curl -s --data-binary @ball.jpg "$S/photos?name=ball.jpg" | jq -r .id)
job=$(curl -s -H 'content-type: application/json' "$S/photos/$photo/jobs" \\
  -d '{"prompts": [{"points": {"include": [[742, 491]]}}]}' | jq -r .id)
until curl -s "$S/jobs/$job?wait=20" | jq -e '.state | IN("done", "failed")' >/dev/null; do :; done
result=$(curl -s "$S/jobs/$job" | jq -r .result)
curl -s -o lawn.jpg "$S/results/$result/file"`;

at("python").textContent = `import json, urllib.request

S = "${HERE}/api/v1"

def call(path, data=None, kind="application/json"):
    asked = urllib.request.Request(S + path, data, {"content-type": kind})
    return urllib.request.urlopen(asked).read()

photo = json.loads(call("/photos?name=ball.jpg", open("ball.jpg", "rb").read(), "image/jpeg"))
request = {"prompts": [{"points": {"include": [[742, 491]]}}], "refine": {"dilate": "12px"}}
job = json.loads(call(f"/photos/{photo['id']}/jobs", json.dumps(request).encode()))
while job["state"] in ("queued", "running"):
    job = json.loads(call(f"/jobs/{job['id']}?wait=20"))
open("lawn.jpg", "wb").write(call(f"/results/{job['result']}/file"))`;

takeToken();
const told = await description();
for (const [path, operations] of Object.entries(told.paths))
  for (const [method, operation] of Object.entries(operations))
    at("calls").append(article(path, method, operation));

/** The OpenAPI; none without the token, which the page asks for. */
async function description() {
  try {
    return await (await call("GET", "/openapi.json")).json();
  } catch (error) {
    at("calls").append(make("p", {}, `${error instanceof Error ? error.message : error} Open the page first.`));
    return { paths: {} };
  }
}

/** @param {string} path @param {string} method @param {any} operation */
function article(path, method, operation) {
  const head = make("h3", {}, make("b", {}, method.toUpperCase()), ` ${path}`);
  const made = make("article", {}, head, make("p", {}, operation.description ?? operation.summary));
  const given = (operation.parameters ?? []).filter((/** @type {any} */ p) => p.in === "query");
  if (given.length)
    made.append(make("p", { class: "quiet" }, `Query: ${given.map((/** @type {any} */ p) => p.name + (p.required ? "" : "?")).join(", ")}`));
  const body = operation.requestBody?.content?.["application/json"]?.schema;
  if (body) made.append(shape("Body", body));
  const answer = Object.entries(operation.responses).find(([code]) => code.startsWith("2"))?.[1];
  const schema = /** @type {any} */ (answer)?.content?.["application/json"]?.schema;
  if (schema && Object.keys(schema).length) made.append(shape("Answer", schema));
  return made;
}

/** @param {string} title @param {any} schema */
function shape(title, schema) {
  const text = JSON.stringify(plain(schema, 0), null, 2).replaceAll('"', "");
  return make("details", {}, make("summary", {}, title), make("pre", { tabindex: "0" }, make("code", {}, text)));
}

/** A schema as a sketch of its data. @param {any} schema @param {number} depth @returns {any} */
function plain(schema, depth) {
  if (schema.$ref) return plain(told.components.schemas[schema.$ref.split("/").at(-1)], depth);
  if (depth > 5) return "…";
  const several = schema.anyOf ?? schema.oneOf;
  if (several) {
    const all = several.map((/** @type {any} */ one) => plain(one, depth));
    return all.every((/** @type {any} */ one) => typeof one === "string") ? all.join(" | ") : { "one of": all };
  }
  if (schema.const !== undefined) return String(schema.const);
  if (schema.enum) return schema.enum.join(" | ");
  if (schema.type === "array") return [plain(schema.items ?? {}, depth + 1)];
  if (schema.properties)
    return Object.fromEntries(Object.entries(schema.properties).map(([name, inner]) => [name, plain(inner, depth + 1)]));
  return schema.type ?? "any";
}
