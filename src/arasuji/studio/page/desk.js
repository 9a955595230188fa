// The desk: the texts that were kept, to edit, reject, delete and export.

import { kept as keptSignal } from "./kept.js";
import { get, send } from "./server.js";
import { html, signal, useEffect, useRef } from "./vendor.js";

const rows = signal(null);
const problem = signal("");
const said = signal(""); // for screen readers
const drafts = keptSignal("drafts", {}); // by the number of a text: what was typed and not saved yet
const deleted = signal(null); // the last row that was deleted
const made = signal(null); // the corpus that was made
const MOST_VISIBLE = 100;
const FEWEST = 20; // texts of a corpus

export const title = "Desk";

export function enter() {
  get("/api/desk").then(
    (found) => ((rows.value = found), (problem.value = "")),
    (error) => (problem.value = error.message),
  );
}

export async function keep(text, run, about, verdict = "kept") {
  const row = await send("POST", "/api/desk", { text, run, about, verdict });
  if (rows.value) rows.value = [...rows.value.filter((one) => one.id !== row.id), row];
  return row;
}

async function change(row, changes) {
  try {
    const changed = await send("PATCH", `/api/desk/${row.id}`, changes);
    rows.value = rows.value.map((one) => (one.id === row.id ? changed : one));
    if ("text" in changes) forget(row);
    said.value = "text" in changes ? "Saved." : `The text is ${changed.verdict}.`;
  } catch (error) {
    problem.value = error.message;
  }
}

function forget(row) {
  const { [row.id]: _, ...others } = drafts.value;
  drafts.value = others;
}

async function remove(row) {
  try {
    await send("DELETE", `/api/desk/${row.id}`);
    rows.value = rows.value.filter((one) => one.id !== row.id);
    deleted.value = row;
    forget(row);
    said.value = "Deleted.";
  } catch (error) {
    problem.value = error.message;
  }
}

async function putBack() {
  try {
    const { text, run, about, verdict } = deleted.value;
    await keep(text, run, about, verdict);
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
          <div><label for="corpus-name">Name of a new corpus of the kept texts (it needs ${FEWEST}, and you have ${kept.length})</label>
            <input id="corpus-name" name="name" type="text" required pattern="[A-Za-z0-9][A-Za-z0-9_.\\-]*" maxlength="100" /></div>
          <button disabled=${kept.length < FEWEST}>Make the corpus</button>
        </form>`
      : html`<p>In the <a href="#write">Write room</a>, Keep puts a text here.</p>`}
    ${made.value && html`<p role="status">${made.value.name} has ${made.value.documents.train} texts to learn from: the <a href="#train">Train room</a> knows it.</p>`}
    <p class="unseen" role="status">${said.value}</p>
    ${deleted.value && html`<${Deleted} key=${deleted.value.id} />`}
    ${kept.slice(-MOST_VISIBLE).map((row) => html`<${Row} key=${row.id} row=${row} />`)}
    ${kept.length > MOST_VISIBLE && html`<p class="hint">The last ${MOST_VISIBLE} are shown; the export has all.</p>`}
    ${rejected.length > 0 &&
    html`<details><summary>${rejected.length} rejected</summary>
      ${rejected.slice(-MOST_VISIBLE).map((row) => html`<${Row} key=${row.id} row=${row} />`)}</details>`}`;
}

function Deleted() {
  const button = useRef(null);
  useEffect(() => button.current.focus(), []);
  return html`<p>A text was deleted. <button ref=${button} onClick=${putBack}>Put it back</button></p>`;
}

function Row({ row }) {
  const text = drafts.value[row.id] ?? row.text;
  const name = `text-${row.id}`;
  const changed = text !== row.text;
  return html`<section class="kept">
    <label for=${name}>${row.run}, ${new Date(row.made).toLocaleString()}${changed ? ", not saved yet" : ""}</label>
    <textarea id=${name} rows=${Math.min(12, 2 + Math.ceil(row.text.length / 80))} value=${text} onInput=${(e) => (drafts.value = { ...drafts.value, [row.id]: e.target.value })} />
    <div class="row">
      <button disabled=${!changed || !text.trim()} onClick=${() => change(row, { text })}>Save the change</button>
      <button onClick=${() => change(row, { verdict: row.verdict === "kept" ? "rejected" : "kept" })}>${row.verdict === "kept" ? "Reject" : "Keep"}</button>
      <button onClick=${() => remove(row)}>Delete</button>
    </div>
  </section>`;
}
