// The runs that the server has, and what a text may be told, for every room that writes.

import { kept } from "./kept.js";
import { get } from "./server.js";
import { computed, html, signal } from "./vendor.js";

export const runs = signal(null);
export const failed = signal("");
export const told = kept("told", {}); // by field: what was typed
export const anyValue = signal(false); // whether values may be told that no training text has

export const usable = computed(() => (runs.value ?? []).filter((run) => !run.problem && run.predicts !== "title"));
export const runOf = (name) => runs.value?.find((run) => run.id === name);

export async function loadRuns() {
  try {
    runs.value = await get("/api/runs");
    failed.value = "";
  } catch (error) {
    failed.value = error.message;
  }
}

// What is told of a text, as a run takes it: only the fields that it knows.
export function fieldsFor(name) {
  const fields = {};
  for (const [field, values] of Object.entries(runOf(name)?.fields ?? {})) {
    const typed = (told.value[field] ?? "").trim();
    if (!typed) continue;
    const several = values.length && field !== "year";
    fields[field] = several ? typed.split(",").map((one) => one.trim()).filter(Boolean) : typed;
  }
  return fields;
}

const LABELS = {
  title: "Title",
  genres: "Genres, with commas between them",
  year: "Year",
  type: "Type",
  from: "The sentence before",
  to: "The sentence after",
};

function tell(field, typed) {
  told.value = { ...told.value, [field]: typed };
  anyValue.value = false;
}

// One field for each thing that one of these runs can be told.
export function Told({ names }) {
  const known = new Map();
  for (const name of names) {
    for (const [field, values] of Object.entries(runOf(name)?.fields ?? {})) known.set(field, [...(known.get(field) ?? []), ...values]);
  }
  const without = names.filter((name) => !Object.keys(runOf(name)?.fields ?? {}).length);
  const untold = without.length > 0 && usable.value.some((run) => Object.keys(run.fields).length) &&
    html`<p class="hint">${without.join(" and ")} cannot be told title or genres: only the beginning counts.</p>`;
  if (!known.size) return untold;
  const order = Object.keys(LABELS);
  const fields = [...known].sort(([one], [other]) => order.indexOf(one) - order.indexOf(other));
  return html`<div><div class="row">
    ${fields.map(
      ([field, values]) => html`<div class="wide" key=${field}>
        <label for=${`told-${field}`}>${LABELS[field] ?? field}</label>
        <input id=${`told-${field}`} type="text" list=${values.length ? `known-${field}` : null} value=${told.value[field] ?? ""}
          onInput=${(e) => tell(field, e.target.value)} />
        ${values.length > 0 && html`<datalist id=${`known-${field}`}>${[...new Set(values)].map((one) => html`<option value=${one} />`)}</datalist>`}
      </div>`,
    )}
  </div>${untold}</div>`;
}

// The runs that cannot be opened, each with the reason.
export function Broken() {
  const broken = (runs.value ?? []).filter((run) => run.problem);
  return broken.map((run) => html`<p key=${run.id} class="problem">${run.id} cannot be opened: ${run.problem}</p>`);
}
