// The Look inside room: a text grows word by word, and shows how each word was chosen, what was read, and what was kept.

import { Attention } from "./attention.js";
import { Button } from "./button.js";
import { shown } from "./choice.js";
import { kept } from "./kept.js";
import { bindKeys, KeyButton } from "./keys.js";
import { Memory } from "./memory.js";
import { Broken, failed, fieldsFor, loadRuns, runOf, runs, Told, told, usable } from "./runs.js";
import { post } from "./server.js";
import { seed, settings, Settings } from "./settings.js";
import { Stages } from "./stages.js";
import { computed, effect, html, signal, useEffect } from "./vendor.js";
import { Welcome } from "./welcome.js";

export const title = "Look inside";

const FEW = 10; // candidates that are shown at first
const MOST_AHEAD = 20; // words that keys may ask for before they are taken

const run = kept("inside.run", "");
const prompt = kept("inside.prompt", "The robot took the cup because it was");
const tokens = kept("inside.tokens", []); // {id, text}: written after the prompt
const asked = kept("inside.asked", null); // as the Write room asked, where the text comes from there
const at = signal(-1); // the token that is looked at; -1 is the next one
const part = kept("inside.part", "choice");
const choice = signal(null);
const problem = signal("");
const busy = signal(false);

const place = computed(() => (at.value < 0 ? tokens.value.length : at.value));
export const question = (more = {}) => ({
  ...(asked.value ?? { fields: fieldsFor(run.value), sampling: settings.value, seed: seed.value }),
  run: run.value,
  prompt: prompt.value,
  ids: tokens.value.map((token) => token.id),
  ...more,
});

// Look into a text of the Write room, at one of its tokens.
export function openInside({ asked: own, tokens: written, end }, place) {
  const inner = end?.reason === "ended" ? written.slice(0, -1) : written; // without its end token
  run.value = own.run;
  prompt.value = own.prompt;
  asked.value = own;
  tokens.value = inner.map(({ id, text }) => ({ id, text }));
  at.value = place < inner.length ? place : -1;
  choice.value = null;
  location.hash = "#inside";
}

export async function enter() {
  bindKeys([
    ["n", "take the next word", () => next()],
    ["b", "take the last word back", back],
    ["ArrowLeft", "the word before", () => select(place.value - 1)],
    ["ArrowRight", "the word after", () => select(place.value + 1)],
  ]);
  await loadRuns();
  const names = usable.value.map((one) => one.id);
  if (!names.includes(run.value)) run.value = usable.value.find((one) => one.predicts === "text")?.id ?? "";
  look();
}

// Other settings are at once those of the table.
let changing = 0;
effect(() => {
  JSON.stringify([settings.value, seed.value, told.value]);
  clearTimeout(changing);
  if ((choice.peek() || problem.peek()) && !asked.peek()) changing = setTimeout(() => look(), 150);
});

let asking = 0;

// Ask how the token of the selected place is chosen; null where something else was asked for meanwhile.
async function look(count = FEW) {
  const mine = ++asking;
  if (!run.value) return null;
  try {
    const found = await post("/api/inside/choice", question({ ids: question().ids.slice(0, place.value), count }));
    if (mine !== asking) return null;
    choice.value = found;
    problem.value = "";
    return found;
  } catch (error) {
    if (mine !== asking) return null;
    choice.value = null;
    problem.value = error.message;
    return null;
  }
}

function select(i) {
  if (busy.value) return;
  at.value = i >= tokens.value.length ? -1 : Math.max(i, tokens.value.length ? 0 : -1);
  look();
}

// Put a token at the selected place; what stood after it goes.
function take({ id, text }) {
  tokens.value = [...tokens.value.slice(0, place.value), { id, text }];
  at.value = -1;
  return look();
}

let wanted = 0; // words that are still to be taken

async function next(count = 1) {
  wanted = Math.min(wanted + count, MOST_AHEAD);
  if (busy.value) return;
  busy.value = true;
  at.value = -1;
  try {
    let found = await look();
    for (; wanted > 0 && found; wanted--) {
      const { chosen } = found;
      const drawn = found.candidates.find((row) => row.id === chosen);
      if (drawn.ends) break;
      found = await take(drawn);
    }
  } finally {
    wanted = 0;
    busy.value = false;
  }
}

function back() {
  if (busy.value) return;
  tokens.value = tokens.value.slice(0, -1);
  at.value = -1;
  look();
}

function restart(typed) {
  asking++; // what was asked of the old text is not wanted any more
  prompt.value = typed;
  tokens.value = [];
  at.value = -1;
  choice.value = null;
}

const PARTS = [
  ["choice", "How the word is chosen", () => true],
  ["attention", "What it reads", (shows) => shows.includes("attention")],
  ["memory", "What it keeps", (shows) => shows.includes("memory")],
];

const WHO_HAS = { attention: "Only transformers have attention: they read all words before.", memory: "Only LSTMs have gates and a memory." };

export function Room() {
  if (failed.value) return html`<p class="problem" role="alert">${failed.value}. Is the server still running?</p>`;
  if (!runs.value) return html`<p>Opening the runs…</p>`;
  if (!usable.value.length) return html`<${Broken} /><${Welcome} />`;
  const shows = runOf(run.value)?.shows ?? [];
  const own = PARTS.some(([name, , has]) => name === part.value && has(shows)) ? part.value : "choice";
  const choose = (event) => {
    asked.value = null;
    restart(prompt.value + tokens.value.map((token) => token.text).join("")); // the same text, read by another model
    run.value = event.target.value;
    look();
  };
  const begin = (event) => {
    event.preventDefault();
    asked.value = null;
    restart(prompt.value);
    look();
  };
  const grey = PARTS.filter(([, , has]) => !has(shows)).map(([name]) => WHO_HAS[name]);
  return html`
    <form onSubmit=${begin}>
      <div class="row">
        <div class="wide"><label for="inside-run">Model</label>
          <select id="inside-run" value=${run.value} onChange=${choose}>
            ${usable.value.map((one) => html`<option key=${one.id} value=${one.id}>${one.id} (${one.family})</option>`)}
          </select></div>
      </div>
      <div><label for="inside-prompt">The beginning</label>
        <textarea id="inside-prompt" rows="2" value=${prompt.value} onInput=${(e) => restart(e.target.value)} /></div>
      ${!asked.value && html`<${Told} names=${[run.value]} /><${Settings} names=${[run.value]} />`}
      ${asked.value && html`<p class="hint">Fields, settings and seed are those of the text from the Write room. Start again takes your own.</p>`}
      <div class="row actions">
        <${Button} class="first" off=${!run.value} onClick=${() => next()}>Next word</${Button}>
        <${Button} off=${!run.value} onClick=${() => next(10)}>Ten tokens</${Button}>
        <${Button} off=${!tokens.value.length} onClick=${back}>Back</${Button}>
        <button>Start again</button>
        <${KeyButton} />
      </div>
    </form>
    ${problem.value && html`<p class="problem" role="alert">${problem.value}</p>`}
    <div class="parts" aria-busy=${busy.value} role="group" aria-label="What is shown">
      ${PARTS.map(([name, label, has]) => html`<button key=${name} aria-pressed=${own === name} disabled=${!has(shows)} onClick=${() => (part.value = name)}>${label}</button>`)}
    </div>
    ${shows.length === 0
      ? html`<p class="hint">No attention and no gates here: this model counts which tokens have followed the last few.</p>`
      : grey.length > 0 && html`<p class="hint">${grey.join(" ")}</p>`}
    ${own === "choice" && html`<${Growing} />${!problem.value && html`<${Stages} found=${choice.value} take=${busy.value ? null : take} more=${look} stands=${tokens.value[place.value]} />`}`}
    ${own === "attention" && html`<${Attention} question=${question()} />`}
    ${own === "memory" && html`<${Memory} question=${question()} />`}`;
}

function Growing() {
  useEffect(() => {
    if (!choice.value && !problem.value) look();
  });
  return html`<div class="text" role="group" aria-label="The text">
    <span class="prompt">${prompt.value}</span>${tokens.value.map(
      (token, i) => html`<button key=${i} type="button" class=${`token${at.value === i ? " chosen" : ""}`} aria-pressed=${at.value === i}
        onClick=${() => select(i)}>${shown(token.text)}</button>`,
    )}<button type="button" class=${`token next${at.value < 0 ? " chosen" : ""}`} aria-pressed=${at.value < 0} aria-label="The next word" onClick=${() => select(tokens.value.length)}>${" ? "}</button>
  </div>`;
}
