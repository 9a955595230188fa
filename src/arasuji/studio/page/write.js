// The Write room: one prompt, two models that write side by side, and what else could stand at each place.

import { keep } from "./desk.js";
import { kept } from "./kept.js";
import { events, get, post } from "./server.js";
import { batch, computed, effect, html, signal } from "./vendor.js";

const MOST_BITS = 4; // for each letter: tokens of different models can be compared by it
const SETTINGS = [
  ["temperature", 0, 1.5, 0.05, "Higher takes unlikely words more often; 0 always takes the likeliest."],
  ["top_p", 0.05, 1, 0.05, "Only the likeliest words that together have this share are taken."],
  ["top_k", 0, 200, 1, "Only this many of the likeliest words are taken; 0 is all."],
  ["max_length", 20, 400, 10, "The most tokens of a text; a word has one or two."],
  ["guidance", 1, 4, 0.5, "Higher keeps closer to title and genres; for runs that can be told them."],
];

const runs = signal(null);
const failed = signal("");
const prompt = kept("prompt", "After years");
const ownTitle = kept("title", "");
const genres = kept("genres", "");
const seed = kept("seed", 0);
const settings = kept("settings", {});
const chosen = kept("lanes", ["", ""]);
const lanes = [lane(), lane()];
const writing = computed(() => lanes.some((one) => one.busy.value));
const said = signal("");
let stopping = null;

function lane() {
  return {
    busy: signal(false),
    prompt: signal(""),
    tokens: signal([]), // {id, text, bits, rank}
    end: signal(null),
    problem: signal(""),
    at: signal(-1), // the place that is looked at
    candidates: signal(null),
    branches: signal([]), // other texts: {prompt, tokens, end}
    verdict: signal(""), // whether it was put on the desk
  };
}

get("/api/runs").then(
  (found) => {
    runs.value = found;
    const usable = found.filter((run) => !run.problem && run.predicts === "text").map((run) => run.id);
    chosen.value = [0, 1].map((i) => (usable.includes(chosen.value[i]) ? chosen.value[i] : i < usable.length ? usable[i] : ""));
  },
  (error) => (failed.value = error.message),
);

const runOf = (i) => runs.value?.find((run) => run.id === chosen.value[i]);
const canBeTold = computed(() => new Set([0, 1].flatMap((i) => Object.keys(runOf(i)?.fields ?? {}))));
const knownGenres = computed(() => [...new Set([0, 1].flatMap((i) => runOf(i)?.fields?.genres ?? []))]);

// What is asked of a lane: only what its run can be told.
function asked(i, more = {}) {
  const known = runOf(i)?.fields ?? {};
  const names = genres.value.split(",").map((one) => one.trim()).filter(Boolean);
  const fields = {};
  if ("title" in known && ownTitle.value.trim()) fields.title = ownTitle.value.trim();
  if ("genres" in known && names.length) fields.genres = names;
  return { run: chosen.value[i], prompt: prompt.value, fields, sampling: settings.value, ...more };
}

async function write(which, text = null) {
  stop();
  const running = (stopping = new AbortController());
  const sent = which.map((i) => asked(i, { seed: seed.value, ...(text === null ? {} : { prompt: text }) }));
  batch(() => {
    for (const [at, i] of which.entries()) {
      const own = lanes[i];
      keepBranch(own);
      own.busy.value = true;
      own.prompt.value = sent[at].prompt;
      own.tokens.value = [];
      own.end.value = own.candidates.value = null;
      own.problem.value = own.verdict.value = "";
      own.at.value = -1;
    }
  });
  said.value = `${which.map((i) => chosen.value[i]).join(" and ")}: writing`;
  try {
    for await (const event of events("/api/write", { lanes: sent }, running.signal)) take(lanes[which[event.lane]], event);
    said.value = "The text is written.";
  } catch (error) {
    if (error.name !== "AbortError") {
      for (const i of which) lanes[i].problem.value = error.message;
      if (error.retryAfter) setTimeout(() => running.signal.aborted || write(which, text), 1000 * error.retryAfter);
    }
  } finally {
    if (stopping === running) stopping = null;
    for (const i of which) lanes[i].busy.value = false;
  }
}

function take(own, event) {
  if (event.tokens) {
    const more = event.tokens.map(([id, text, probability, rank]) => ({ id, text: String(text), bits: -Math.log2(Math.max(probability, 1e-9)), rank }));
    own.tokens.value = [...own.tokens.value, ...more];
  }
  if (event.end) {
    batch(() => {
      if (event.end.rest) own.tokens.value = [...own.tokens.value, { id: -1, text: event.end.rest, bits: 0, rank: 0 }];
      own.end.value = event.end;
      own.busy.value = false;
    });
  }
  if (event.fail) own.problem.value = event.fail;
}

function stop() {
  stopping?.abort();
}

// An old text is kept as a branch.
function keepBranch(own) {
  if (!own.tokens.value.length) return;
  own.branches.value = [...own.branches.value, { prompt: own.prompt.value, tokens: own.tokens.value, end: own.end.value }].slice(-20);
}

function lastBranch(own) {
  const branches = own.branches.value;
  if (!branches.length) return;
  const last = branches[branches.length - 1];
  batch(() => {
    own.branches.value = branches.slice(0, -1);
    own.prompt.value = last.prompt;
    own.tokens.value = last.tokens;
    own.end.value = last.end;
    own.verdict.value = "";
    own.at.value = -1;
    own.candidates.value = null;
  });
}

async function look(i, at) {
  const own = lanes[i];
  own.at.value = at;
  own.candidates.value = null;
  const ids = own.tokens.value.slice(0, at).map((token) => token.id);
  try {
    const found = await post("/api/inspect", { ...asked(i), prompt: own.prompt.value, ids });
    if (own.at.value === at) own.candidates.value = found;
  } catch (error) {
    own.problem.value = error.message;
  }
}

async function put(i, verdict) {
  const own = lanes[i];
  const about = { ...asked(i, { seed: seed.value }), prompt: own.prompt.value };
  try {
    await keep(textOf(own).trim(), chosen.value[i], about, verdict);
    own.verdict.value = verdict;
    said.value = `The text is ${verdict}.`;
  } catch (error) {
    own.problem.value = error.message;
  }
}

const textOf = (own, until = own.tokens.value.length) =>
  own.prompt.value + own.tokens.value.slice(0, until).map((token) => token.text).join("");

function keys(event) {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    if (!writing.value) write(ready());
  } else if (event.key === "Escape") {
    stop();
  }
}
addEventListener("keydown", keys);

const ready = () => [0, 1].filter((i) => chosen.value[i]);

export const title = "Write";

export function Room() {
  if (failed.value) return html`<p class="problem" role="alert">${failed.value}. Is the server still running?</p>`;
  if (!runs.value) return html`<p>Opening the runs…</p>`;
  if (!runs.value.some((run) => !run.problem)) return html`<${Welcome} />`;
  const submit = (event) => {
    event.preventDefault();
    write(ready());
  };
  return html`
    <form onSubmit=${submit}>
      <label for="prompt">The beginning</label>
      <textarea id="prompt" rows="2" value=${prompt.value} onInput=${(e) => (prompt.value = e.target.value)} />
      ${canBeTold.value.size > 0 && html`<${Told} />`}
      <div class="row">
        <button class="first" disabled=${writing.value || !ready().length}>Write</button>
        <button type="button" disabled=${!writing.value} onClick=${stop}>Stop</button>
        <button type="button" disabled=${writing.value} onClick=${() => ((seed.value += 1), write(ready()))}>Another one</button>
        <p class="hint">Ctrl-Enter writes, Esc stops.</p>
      </div>
      <${Settings} />
    </form>
    <div class="scale">words that were sure <span></span> a surprise, ${MOST_BITS} bits a letter and more; click a word to see what else could stand there</div>
    <p class="unseen" role="status" aria-live="polite">${said.value}</p>
    <div class="lanes">${[0, 1].map((i) => html`<${Lane} key=${i} i=${i} />`)}</div>`;
}

function Welcome() {
  const broken = runs.value.filter((run) => run.problem);
  return html`<section>
    <h2>No model yet</h2>
    <p>Train one first: <code>arasuji demo</code> trains two in ten minutes, and <code>arasuji serve --runs demo</code> shows them here.</p>
    ${broken.map((run) => html`<p class="problem">${run.id}: ${run.problem}</p>`)}
  </section>`;
}

function Told() {
  return html`<div class="row">
    ${canBeTold.value.has("title") &&
    html`<div class="wide"><label for="title">Title</label>
      <input id="title" type="text" value=${ownTitle.value} onInput=${(e) => (ownTitle.value = e.target.value)} /></div>`}
    ${canBeTold.value.has("genres") &&
    html`<div class="wide"><label for="genres">Genres, with commas between them</label>
      <input id="genres" type="text" list="known" value=${genres.value} onInput=${(e) => (genres.value = e.target.value)} />
      <datalist id="known">${knownGenres.value.map((name) => html`<option value=${name} />`)}</datalist></div>`}
  </div>`;
}

function Settings() {
  const own = settings.value;
  const base = runOf(0)?.sampling ?? {};
  const change = (name, value) => (settings.value = { ...own, [name]: Number(value) });
  return html`<details>
    <summary>How it is written</summary>
    <div class="settings">
      ${SETTINGS.map(
        ([name, least, most, step, help]) => html`<div key=${name}>
          <label for=${name}>${name.replace("_", "-")} <output>${own[name] ?? base[name]}</output></label>
          <input id=${name} type="range" min=${least} max=${most} step=${step} value=${own[name] ?? base[name]}
            aria-describedby=${`${name}-help`} onInput=${(e) => change(name, e.target.value)} />
          <p class="hint" id=${`${name}-help`}>${help}</p>
        </div>`,
      )}
      <div><label for="seed">seed</label>
        <input id="seed" type="number" min="0" value=${seed.value} onInput=${(e) => (seed.value = Math.max(0, Math.floor(Number(e.target.value) || 0)))} />
        <p class="hint">The same seed gives the same text.</p></div>
    </div>
    <button type="button" onClick=${() => (settings.value = {})}>As each run recommends</button>
  </details>`;
}

function Lane({ i }) {
  const own = lanes[i];
  const choose = (event) => (chosen.value = chosen.value.map((name, at) => (at === i ? event.target.value : name)));
  const usable = runs.value.filter((run) => !run.problem && run.predicts === "text");
  return html`<section class="lane" aria-busy=${own.busy.value}>
    <div>
      <label for=${`run-${i}`}>${i ? "Second model" : "First model"}</label>
      <select id=${`run-${i}`} value=${chosen.value[i]} onChange=${choose}>
        <option value="">none</option>
        ${usable.map((run) => html`<option value=${run.id}>${run.id} (${run.bits_per_byte?.toFixed(3) ?? "?"} bits per byte)</option>`)}
      </select>
    </div>
    ${own.problem.value && html`<p class="problem" role="alert">${own.problem.value}</p>`}
    <${Words} i=${i} />
    ${own.end.value && html`<${Ending} own=${own} />`}
    <div class="row">
      <button type="button" disabled=${own.busy.value || !own.tokens.value.length || own.verdict.value} onClick=${() => put(i, "kept")}>${own.verdict.value === "kept" ? "Kept" : "Keep"}</button>
      <button type="button" disabled=${own.busy.value || !own.tokens.value.length || own.verdict.value} onClick=${() => put(i, "rejected")}>${own.verdict.value === "rejected" ? "Rejected" : "Reject"}</button>
      <button type="button" disabled=${writing.value || !own.tokens.value.length} onClick=${() => write([i], textOf(own))}>Continue</button>
      <button type="button" disabled=${own.busy.value || !own.branches.value.length} onClick=${() => lastBranch(own)}>Undo (${own.branches.value.length})</button>
    </div>
    ${own.at.value >= 0 && html`<${Candidates} i=${i} />`}
  </section>`;
}

function Words({ i }) {
  const own = lanes[i];
  const copied = own.end.value?.copied;
  const prompt = own.prompt.value;
  let place = prompt.trimStart().length;
  const move = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step || own.busy.value) return;
    event.preventDefault();
    const at = Math.min(Math.max(own.at.value + step, 0), own.tokens.value.length - 1);
    if (own.tokens.value.length) look(i, at);
  };
  return html`<div class="text" role="listbox" aria-label="Words of the text: arrow keys choose one" tabindex="0" onKeyDown=${move}>
    <span class="prompt" role="presentation">${prompt}</span>${own.tokens.value.map((token, at) => {
      const start = place;
      place += token.text.length;
      const within = copied && copied.words > 4 && start < copied.end && place > copied.start;
      return html`<span key=${at} role="option" aria-selected=${own.at.value === at} class=${within ? "copied" : ""}
        style=${{ "--surprise": Math.min(token.bits / Math.max(token.text.trim().length, 1) / MOST_BITS, 1).toFixed(2) }}
        title=${`${(100 * 2 ** -token.bits).toFixed(1)} %`} onClick=${() => own.busy.value || look(i, at)}>${token.text}</span>`;
    })}</div>`;
}

function Ending({ own }) {
  const { reason, copied } = own.end.value;
  const ends = reason === "ended" ? "The text ended by itself." : "The longest length is reached.";
  const copy = copied ? ` At most ${copied.words} words in a row stand in a training text${copied.words > 4 ? " (underlined)" : ""}.` : "";
  return html`<p class="hint">${ends}${copy}</p>`;
}

function Candidates({ i }) {
  const own = lanes[i];
  const found = own.candidates.value;
  const word = own.tokens.value[own.at.value]?.text ?? "";
  if (!found) return html`<p class="hint">Looking…</p>`;
  const take = (row) => write([i], textOf(own, own.at.value) + row.text);
  return html`<div>
    <h2>What else could stand in the place of “${word.trim()}”</h2>
    <ol class="candidates">
      ${found.rows.map(
        (row) => html`<li key=${row.id}><button type="button" disabled=${row.ends || writing.value} style=${{ "--share": row.raw.toFixed(4) }} onClick=${() => take(row)}>
          <span class=${row.final ? "" : "cut"}>${row.ends ? "the end of the text" : row.text.replaceAll("\n", "⏎") || "a part of a character"}</span>
          <span>${(100 * row.raw).toFixed(1)} %</span></button></li>`,
      )}
    </ol>
    <p class="hint">${found.others.toLocaleString("en")} more tokens, ${(100 * found.rest).toFixed(1)} %. Struck out: cut by top-k or top-p. A click continues with another one; Undo brings the old text back.</p>
  </div>`;
}

effect(() => {
  document.title = writing.value ? "writing… あらすじ" : "あらすじ arasuji";
});
