// The reference of the server's routes, made of /openapi.json: nothing comes from another site.

import { get } from "./server.js";
import { html, render, signal } from "./vendor.js";

const described = signal(null);
const failed = signal("");

get("/openapi.json").then(
  (found) => (described.value = found),
  (error) => (failed.value = error.message),
);

const METHODS = ["get", "post", "patch", "put", "delete"];

function routesOf({ paths }) {
  return Object.entries(paths).flatMap(([path, of]) => METHODS.filter((method) => of[method]).map((method) => ({ path, method, ...of[method] })));
}

function Page() {
  if (failed.value) return html`<p class="problem" role="alert">${failed.value}</p>`;
  if (!described.value) return html`<p>Reading…</p>`;
  const routes = routesOf(described.value);
  return html`<header><h1 lang="ja"><a href="/">あらすじ</a></h1></header>
    <main class="api">
      <h2>What programs may ask of this server</h2>
      <p>The same as data: <a href="/openapi.json">/openapi.json</a> (OpenAPI ${described.value.openapi}). Clients made for OpenAI's
        completions write through <code>/v1</code>.</p>
      <nav aria-label="Routes"><ul>${routes.map((route) => html`<li key=${idOf(route)}><a href=${`#${idOf(route)}`}><code>${route.method.toUpperCase()} ${route.path}</code></a></li>`)}</ul></nav>
      ${routes.map((route) => html`<${Route} key=${idOf(route)} route=${route} />`)}
    </main>`;
}

const idOf = ({ method, path }) => `${method}${path}`.replace(/[^\w]+/g, "-");

function Route({ route }) {
  const body = route.requestBody?.content?.["application/json"]?.schema;
  return html`<section id=${idOf(route)}>
    <h3><code>${route.method.toUpperCase()} ${route.path}</code></h3>
    <p>${route.description ?? route.summary}</p>
    ${route.parameters?.length > 0 && html`<${Fields} caption="In the address" fields=${route.parameters.map(({ name, required, schema, description }) => ({ name, required, schema, description }))} />`}
    ${body && html`<${Fields} caption="In the body, as JSON" fields=${fieldsOf(body)} />`}
    <p class="hint">Answers: ${Object.entries(route.responses).map(([status, { description }]) => `${status} (${description})`).join(", ")}</p>
  </section>`;
}

function Fields({ caption, fields }) {
  return html`<div class="box"><table>
    <caption>${caption}</caption>
    <tbody>${fields.map(({ name, required, schema, description }) => html`<tr key=${name}>
      <th scope="row"><code>${name}</code>${required ? " (needed)" : ""}</th>
      <td>${kindOf(schema)}</td>
      <td>${description ?? schema.description ?? ""}</td>
    </tr>`)}</tbody>
  </table></div>`;
}

const found = (schema) => (schema.$ref ? described.value.components.schemas[schema.$ref.split("/").pop()] : schema);

function fieldsOf(schema) {
  const { properties = {}, required = [] } = found(schema);
  return Object.entries(properties).map(([name, own]) => ({ name, required: required.includes(name), schema: own }));
}

// The type of a field in words, with its bounds.
function kindOf(schema) {
  const own = found(schema);
  if (own.anyOf) return own.anyOf.map(kindOf).join(" or ");
  if (own.enum) return own.enum.map((value) => JSON.stringify(value)).join(" or ");
  if (own.const !== undefined) return JSON.stringify(own.const);
  if (own.type === "array") return `list of ${own.items ? kindOf(own.items) : own.prefixItems?.map(kindOf).join(" and ") ?? "anything"}${bounds(own.minItems, own.maxItems)}`;
  if (own.properties) return `{${Object.keys(own.properties).join(", ")}}`;
  const type = own.type === "null" ? "nothing" : own.type ?? "anything";
  return type + bounds(own.minimum ?? own.exclusiveMinimum ?? own.minLength, own.maximum ?? own.exclusiveMaximum ?? own.maxLength);
}

const bounds = (least, most) => (least === undefined && most === undefined ? "" : ` (${least ?? "any"} to ${most ?? "any"})`);

render(html`<${Page} />`, document.getElementById("app"));
