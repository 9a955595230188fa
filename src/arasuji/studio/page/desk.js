// The desk: the texts that were kept, to edit, reject, delete and export.

import { get, send } from "./server.js";
import { html, signal, useSignal } from "./vendor.js";

const rows = signal(null);
const problem = signal("");

export const title = "Desk";

export function enter() {
  get("/api/desk").then(
    (found) => ((rows.value = found), (problem.value = "")),
    (error) => (problem.value = error.message),
  );
}

export async function keep(text, run, about, verdict = "kept") {
  return send("POST", "/api/desk", { text, run, about, verdict });
}

async function change(row, changes) {
  try {
    const changed = await send("PATCH", `/api/desk/${row.id}`, changes);
    rows.value = rows.value.map((one) => (one.id === row.id ? changed : one));
  } catch (error) {
    problem.value = error.message;
  }
}

async function remove(row) {
  try {
    await send("DELETE", `/api/desk/${row.id}`);
    rows.value = rows.value.filter((one) => one.id !== row.id);
  } catch (error) {
    problem.value = error.message;
  }
}

export function Room() {
  const kept = rows.value?.filter((row) => row.verdict === "kept") ?? [];
  const rejected = rows.value?.filter((row) => row.verdict === "rejected") ?? [];
  return html`
    ${problem.value && html`<p class="problem" role="alert">${problem.value}</p>`}
    <h2>${kept.length ? `${kept.length} kept` : "Nothing is kept yet"}</h2>
    ${kept.length > 0
      ? html`<p>Take them with you: ${["txt", "csv", "jsonl"].map(
          (format) => html`<a key=${format} href=${`/api/desk/export?format=${format}`} download>${format}</a> `,
        )}. <code>arasuji prepare desk.csv</code> makes a corpus of them.</p>`
      : html`<p>In the Write room, Keep puts a text here.</p>`}
    ${kept.map((row) => html`<${Row} key=${row.id} row=${row} />`)}
    ${rejected.length > 0 &&
    html`<details><summary>${rejected.length} rejected</summary>
      ${rejected.map((row) => html`<${Row} key=${row.id} row=${row} />`)}</details>`}`;
}

function Row({ row }) {
  const text = useSignal(row.text);
  const name = `text-${row.id}`;
  return html`<section class="kept">
    <label for=${name}>${row.run}, ${new Date(row.made).toLocaleString()}</label>
    <textarea id=${name} rows=${Math.min(12, 2 + Math.ceil(row.text.length / 80))} value=${text.value} onInput=${(e) => (text.value = e.target.value)} />
    <div class="row">
      <button disabled=${text.value === row.text || !text.value.trim()} onClick=${() => change(row, { text: text.value })}>Save the change</button>
      <button onClick=${() => change(row, { verdict: row.verdict === "kept" ? "rejected" : "kept" })}>${row.verdict === "kept" ? "Reject" : "Keep"}</button>
      <button onClick=${() => remove(row)}>Delete</button>
    </div>
  </section>`;
}
