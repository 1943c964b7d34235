// @ts-check
/** The page that documents the API, drawn from its OpenAPI description. */
import { call, takeTokenFromAddress } from "./api.js";
import { byId, createElement } from "./app.js";

const MAX_DEPTH = 5; // of nested schemas that are shown

byId("curl").textContent = `S=${location.origin}/api/v1
photo=$(curl -s --data-binary @ball.jpg "$S/photos?name=ball.jpg" | jq -r .id)
job=$(curl -s -H 'content-type: application/json' "$S/photos/$photo/jobs" \\
  -d '{"prompts": [{"points": {"include": [[742, 491]]}}]}' | jq -r .id)
until curl -s "$S/jobs/$job?wait=20" | jq -e '.state | IN("done", "failed")' >/dev/null; do :; done
result=$(curl -s "$S/jobs/$job" | jq -r .result)
curl -s -o lawn.jpg "$S/results/$result/file"`;

byId("python").textContent = `import json, urllib.request

S = "${location.origin}/api/v1"

def call(path, data=None, kind="application/json"):
    request = urllib.request.Request(S + path, data, {"content-type": kind})
    return urllib.request.urlopen(request).read()

photo = json.loads(call("/photos?name=ball.jpg", open("ball.jpg", "rb").read(), "image/jpeg"))
request = {"prompts": [{"points": {"include": [[742, 491]]}}], "refine": {"dilate": "12px"}}
job = json.loads(call(f"/photos/{photo['id']}/jobs", json.dumps(request).encode()))
while job["state"] in ("queued", "running"):
    job = json.loads(call(f"/jobs/{job['id']}?wait=20"))
open("lawn.jpg", "wb").write(call(f"/results/{job['result']}/file"))`;

takeTokenFromAddress();
const openapi = await loadOpenapi();
for (const [path, operations] of Object.entries(openapi.paths))
  for (const [method, operation] of Object.entries(operations))
    byId("calls").append(operationArticle(path, method, operation));

/** The OpenAPI description, or an empty one without the token, which the main page asks for. */
async function loadOpenapi() {
  try {
    return await (await call("GET", "/openapi.json")).json();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    byId("calls").append(createElement("p", {}, `${message} Open the main page first.`));
    return { paths: {} };
  }
}

/** @param {string} path @param {string} method @param {any} operation */
function operationArticle(path, method, operation) {
  const heading = createElement("h3", {}, createElement("b", {}, method.toUpperCase()), ` ${path}`);
  const article = createElement("article", {}, heading, createElement("p", {}, operation.description ?? operation.summary));
  const parameters = (operation.parameters ?? []).filter((/** @type {any} */ parameter) => parameter.in === "query");
  const names = parameters.map((/** @type {any} */ parameter) => parameter.name + (parameter.required ? "" : "?"));
  if (names.length) article.append(createElement("p", { class: "quiet" }, `Query: ${names.join(", ")}`));
  const body = operation.requestBody?.content?.["application/json"]?.schema;
  if (body) article.append(schemaDetails("Body", body));
  const success = Object.entries(operation.responses).find(([code]) => code.startsWith("2"))?.[1];
  const schema = /** @type {any} */ (success)?.content?.["application/json"]?.schema;
  if (schema && Object.keys(schema).length) article.append(schemaDetails("Answer", schema));
  return article;
}

/** @param {string} title @param {any} schema */
function schemaDetails(title, schema) {
  const text = JSON.stringify(simplify(schema, 0), null, 2).replaceAll('"', "");
  return createElement("details", {}, createElement("summary", {}, title), createElement("pre", { tabindex: "0" }, createElement("code", {}, text)));
}

/** A schema in the form of the data that it describes. @param {any} schema @param {number} depth @returns {any} */
function simplify(schema, depth) {
  if (schema.$ref) return simplify(openapi.components.schemas[schema.$ref.split("/").at(-1)], depth);
  if (depth > MAX_DEPTH) return "…";
  const alternatives = schema.anyOf ?? schema.oneOf;
  if (alternatives) {
    const simple = alternatives.map((/** @type {any} */ alternative) => simplify(alternative, depth));
    return simple.every((/** @type {any} */ item) => typeof item === "string") ? simple.join(" | ") : { "one of": simple };
  }
  if (schema.const !== undefined) return String(schema.const);
  if (schema.enum) return schema.enum.join(" | ");
  if (schema.type === "array") return [simplify(schema.items ?? {}, depth + 1)];
  if (schema.properties)
    return Object.fromEntries(Object.entries(schema.properties).map(([name, property]) => [name, simplify(property, depth + 1)]));
  return schema.type ?? "any";
}
