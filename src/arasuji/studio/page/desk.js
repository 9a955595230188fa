// The desk: the texts that were kept, to edit, reject, delete and export.

import { get, send } from "./server.js";
import { html, signal, useSignal } from "./vendor.js";

const rows = signal(null);
const problem = signal("");
const deleted = signal(null); // the last row that was deleted
const made = signal(null); // the corpus that was made
const MOST_VISIBLE = 100;

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
    deleted.value = row;
  } catch (error) {
    problem.value = error.message;
  }
}

async function putBack() {
  try {
    const { text, run, about, verdict } = deleted.value;
    rows.value = [...rows.value, await keep(text, run, about, verdict)];
    deleted.value = null;
  } catch (error) {
    problem.value = error.message;
  }
}

async function makeCorpus(event) {
  event.preventDefault();
  try {
    made.value = await send("POST", "/api/desk/corpus", { name: new FormData(event.target).get("name") });
    problem.value = "";
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
        )}</p>
        <form class="row" onSubmit=${makeCorpus}>
          <div><label for="corpus-name">A training set of the kept texts, at least 20, called</label>
            <input id="corpus-name" name="name" type="text" required pattern="[A-Za-z0-9][A-Za-z0-9_.\-]*" maxlength="100" /></div>
          <button>Make the corpus</button>
        </form>`
      : html`<p>In the <a href="#write">Write room</a>, Keep puts a text here.</p>`}
    ${made.value && html`<p role="status">${made.value.name} has ${made.value.documents.train} texts to learn from: the <a href="#train">Train room</a> knows it.</p>`}
    ${deleted.value && html`<p role="status">A text was deleted. <button onClick=${putBack}>Put it back</button></p>`}
    ${kept.slice(-MOST_VISIBLE).map((row) => html`<${Row} key=${row.id} row=${row} />`)}
    ${kept.length > MOST_VISIBLE && html`<p class="hint">The last ${MOST_VISIBLE} are shown; the export has all.</p>`}
    ${rejected.length > 0 &&
    html`<details><summary>${rejected.length} rejected</summary>
      ${rejected.slice(-MOST_VISIBLE).map((row) => html`<${Row} key=${row.id} row=${row} />`)}</details>`}`;
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
