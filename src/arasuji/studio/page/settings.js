// How a text is written: the samplers in plain words, and wishes for its words.

import { kept } from "./kept.js";
import { runOf } from "./runs.js";
import { html } from "./vendor.js";

const SETTINGS = [
  ["temperature", 0, 1.5, 0.05, "Higher takes unlikely words more often; 0 always takes the likeliest."],
  ["top_p", 0.05, 1, 0.05, "Only the likeliest words that together have this probability are taken; 1 is all."],
  ["top_k", 0, 200, 1, "Only this many of the likeliest words are taken; 0 is all."],
  ["min_p", 0, 0.5, 0.01, "Only words with at least this share of the likeliest word's probability are taken; 0 is all."],
  ["repetition_penalty", 1, 2, 0.05, "Higher makes words that stand there already less likely; 1 is off."],
  ["no_repeat_ngram_size", 0, 8, 1, "No sequence of this many tokens is written twice; 0 is off."],
  ["min_length", 0, 200, 10, "The text does not end before this many tokens."],
  ["max_length", 20, 400, 10, "The text stops after this many tokens; a word has one or two."],
  ["guidance", 1, 4, 0.5, "Higher keeps closer to title and genres, in runs that can be told them; it takes twice the time."],
];

export const settings = kept("settings", {}); // those that differ from what a run recommends
export const seed = kept("seed", 0);
const wishes = kept("wishes", { required: "", without: "", least: "", most: "", names: true });

const parts = (typed) => typed.split(",").map((one) => one.trim()).filter(Boolean);

// As a request has them.
export function wished() {
  const { required, without, least, most, names } = wishes.value;
  const words = least || most ? [Number(least || 1), Number(most || 2000)] : null;
  return { required: parts(required), without: parts(without), words, names };
}

// `names` are the runs that write; where they recommend different values, both are said.
export function Settings({ names }) {
  const own = settings.value;
  const recommended = (name) => [...new Set(names.map((run) => runOf(run)?.sampling[name]).filter((value) => value !== undefined))];
  const change = (name, value) => (settings.value = { ...own, [name]: Number(value) });
  const setSeed = (typed) => (seed.value = Math.max(0, Math.floor(Number(typed) || 0)) % 2 ** 32);
  return html`<details>
    <summary>How it is written${Object.keys(own).length > 0 ? " (changed)" : ""}</summary>
    <div class="settings">
      ${SETTINGS.map(([name, least, most, step, help]) => {
        const label = name.replaceAll("_", "-");
        return html`<div key=${name}>
          <label for=${name}>${label} <output>${own[name] ?? recommended(name).join(" and ")}</output></label>
          <input id=${name} type="range" min=${least} max=${most} step=${step} value=${own[name] ?? recommended(name)[0]}
            aria-describedby=${`${name}-help`} onInput=${(e) => change(name, e.target.value)} />
          <p class="hint" id=${`${name}-help`}>${help}</p>
        </div>`;
      })}
      <div><label for="seed">seed</label>
        <input id="seed" type="number" min="0" value=${seed.value} onInput=${(e) => setSeed(e.target.value)} />
        <p class="hint">The same seed gives the same text.</p></div>
    </div>
    <button type="button" disabled=${!Object.keys(own).length} onClick=${() => (settings.value = {})}>As each run recommends</button>
  </details>`;
}

export function Wishes() {
  const own = wishes.value;
  const change = (name, value) => (wishes.value = { ...own, [name]: value });
  const field = (name, label, type = "text") => html`<div>
    <label for=${`wish-${name}`}>${label}</label>
    <input id=${`wish-${name}`} type=${type} min="1" value=${own[name]} onInput=${(e) => change(name, e.target.value)} />
  </div>`;
  const changed = own.required || own.without || own.least || own.most || !own.names;
  return html`<details>
    <summary>Words and length${changed ? " (changed)" : ""}</summary>
    <div class="settings">
      ${field("required", "It has these words, with commas between them")}
      ${field("without", "It has none of these words")}
      ${field("least", "At least this many words", "number")}
      ${field("most", "At most this many words", "number")}
      <label class="check"><input type="checkbox" checked=${!own.names} onChange=${(e) => change("names", !e.target.checked)} />
        No titles and no rare names of the training texts</label>
    </div>
  </details>`;
}
