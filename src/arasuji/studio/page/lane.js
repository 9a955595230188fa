// One lane: its model, its text with tinted words, and what can be done with it.

import { Button } from "./button.js";
import { Candidates } from "./choice.js";
import { openInside } from "./inside.js";
import { kept } from "./kept.js";
import * as of from "./lanes.js";
import { anyValue, usable } from "./runs.js";
import { html, useEffect, useRef, useSignal } from "./vendor.js";

export const MOST_BITS = 4; // for each letter: tokens of different models can be compared by it
const COPIED_WORDS = 5; // fewer words in a row stand in texts of anyone

const edits = [kept("edit-0", null), kept("edit-1", null)]; // what is typed where a text is edited

export function Lane({ i }) {
  const lane = of.lanes[i];
  const text = of.textOf(lane);
  const editing = edits[i];
  const busy = lane.busy.value;
  const here = lane.at.value >= 0 ? "from here" : "from the start";
  const act = (label, key, off, action) => html`<${Button} off=${off} aria-keyshortcuts=${key} onClick=${action}>${label}</${Button}>`;
  return html`<section class=${`lane${of.active.value === i ? " active" : ""}`} aria-busy=${busy} aria-label=${i ? "Second model" : "First model"}
    onFocusIn=${() => (of.active.value = i)} onPointerDown=${() => (of.active.value = i)}>
    <div class="row"><${Chooser} i=${i} />${lane.texts.value.length > 1 && html`<${Versions} i=${i} lane=${lane} />`}</div>
    ${lane.problem.value && html`<${Problem} i=${i} lane=${lane} />`}
    ${editing.value !== null
      ? html`<${Editor} i=${i} editing=${editing} />`
      : html`<${Words} i=${i} text=${text} lane=${lane} />`}
    ${text?.end && html`<${Ending} i=${i} text=${text} />`}
    ${lane.at.value >= 0 && html`<${Place} i=${i} lane=${lane} text=${text} />`}
    ${text &&
    html`<div class="row">
      ${act(text.verdict === "kept" ? "Kept" : "Keep", "k", busy || text.verdict, () => of.judge(i, "kept"))}
      ${act(text.verdict === "rejected" ? "Rejected" : "Reject", "x", busy || text.verdict, () => of.judge(i, "rejected"))}
      ${act("Edit", "e", busy || editing.value !== null, () => (editing.value = of.wholeOf(text)))}
      ${act("Continue", "c", busy, () => of.goOn(i))}
      ${act(`Again ${here}`, "r", busy, () => of.retry(i))}
      ${act(`Four variations ${here}`, "v", busy || !of.chosen.value[i], () => of.vary(i))}
      ${act("Look inside", null, busy, () => openInside(text, lane.at.value))}
    </div>`}
    ${lane.variations.value.length > 0 && html`<${Variations} i=${i} lane=${lane} />`}
  </section>`;
}

function Problem({ i, lane }) {
  const waiting = lane.waiting.value;
  const goOn = () => {
    anyValue.value = true;
    of.write([i]);
  };
  return html`<p class="problem" role="alert">${lane.problem.value}
    ${waiting > 0 && html`. Trying again in ${waiting} s. <button type="button" onClick=${of.stop}>Cancel</button>`}
    ${lane.problem.value.startsWith("no training text has") && html` <button type="button" onClick=${goOn}>Write with it anyway</button>`}
  </p>`;
}

function Chooser({ i }) {
  const choose = (event) => (of.chosen.value = of.chosen.value.with(i, event.target.value));
  return html`<div>
    <label for=${`run-${i}`}>${i ? "Second model" : "First model"}</label>
    <select id=${`run-${i}`} value=${of.chosen.value[i]} onChange=${choose}>
      <option value="">none</option>
      ${usable.value.map((run) => html`<option value=${run.id}>${run.id} (${run.bits_per_byte?.toFixed(3) ?? "?"} bits per byte)</option>`)}
    </select>
  </div>`;
}

const focusText = (i) => document.querySelector(`.text[data-lane="${i}"]`)?.focus();

function Words({ i, text, lane }) {
  const walking = useSignal(false); // a screen reader reads prose; in a list of words arrow keys choose one
  const box = useRef(null);
  if (!text) return html`<div class="text"></div>`;
  const { tokens, end } = text;
  const start = (event) => {
    if (event.key === "w" && !walking.value) {
      walking.value = true;
      of.look(i, Math.max(lane.at.value, 0));
    } else if (walking.value && event.key === "Escape") {
      walking.value = false;
    } else if (walking.value && event.key === "ArrowDown") {
      box.current.closest(".lane").querySelector(".candidates button")?.focus();
    } else if (walking.value && (event.key === "ArrowLeft" || event.key === "ArrowRight")) {
      const next = lane.at.value + (event.key === "ArrowRight" ? 1 : -1);
      if (tokens.length) of.look(i, Math.min(Math.max(next, 0), tokens.length - 1));
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const roles = walking.value
    ? { role: "listbox", "aria-label": "Words: arrow keys choose one, arrow down goes to what else could stand there", "aria-activedescendant": `token-${i}-${lane.at.value}` }
    : { role: "group", "aria-label": "The text: w goes through its words" };
  return html`<div class="text" ref=${box} tabindex="0" data-lane=${i} onKeyDown=${start} ...${roles}>
    <span class=${text.edited ? "" : "prompt"} role=${walking.value ? "presentation" : null}>${text.asked.prompt}</span>${tokens.map(
      (token, at) => html`<span key=${at} id=${`token-${i}-${at}`} ...${walking.value ? { role: "option", "aria-selected": lane.at.value === at } : {}}
        class=${`token${lane.at.value === at ? " chosen" : ""}${isCopied(text, at) ? " copied" : ""}`} style=${{ "--surprise": surprise(token) }}
        title=${`${(100 * 2 ** -token.bits).toFixed(1)} %`} onClick=${() => of.look(i, at)}>${token.text}</span>`,
    )}${end?.rest ?? ""}</div>`;
}

const surprise = (token) => Math.min(token.bits / Math.max(token.text.trim().length, 1) / MOST_BITS, 1).toFixed(2);

function isCopied({ asked, tokens, end }, at) {
  if (!end?.copied || end.copied.words < COPIED_WORDS) return false;
  const until = (n) => tokens.slice(0, n).reduce((length, token) => length + token.text.length, asked.prompt.trimStart().length);
  return until(at) < end.copied.end && until(at + 1) > end.copied.start;
}

function Ending({ i, text }) {
  const { reason, copied } = text.end;
  const other = text.asked.run === of.chosen.value[i] ? "" : `Written by ${text.asked.run}. `;
  const ends = reason === "ended" ? "The text ended by itself." : "The longest length is reached: Continue goes on.";
  const marked = copied?.words >= COPIED_WORDS ? " (underlined)" : "";
  return html`<p class="hint">${other}${ends}${copied ? ` At most ${copied.words} words in a row stand in a training text${marked}.` : ""}</p>`;
}

function Editor({ i, editing }) {
  const area = useRef(null);
  useEffect(() => area.current.focus(), []);
  const leave = () => {
    editing.value = null;
    setTimeout(() => focusText(i));
  };
  const save = () => {
    of.edit(i, editing.value);
    leave();
  };
  return html`<div>
    <label for=${`edit-${i}`}>Edit the text; Continue then goes on from your words</label>
    <textarea id=${`edit-${i}`} ref=${area} rows="8" value=${editing.value} onInput=${(e) => (editing.value = e.target.value)}
      onKeyDown=${(e) => e.key === "Escape" && !e.isComposing && e.target.blur()} />
    <div class="row"><button type="button" onClick=${save}>Done</button><button type="button" onClick=${leave}>Cancel</button></div>
  </div>`;
}

function Versions({ i, lane }) {
  const step = (by, label, sign) => html`<button type="button" class="quiet" aria-label=${label}
    disabled=${lane.busy.value || !(lane.texts.value[lane.current.value + by])} onClick=${() => of.show(i, by)}>${sign}</button>`;
  return html`<div class="versions" role="group" aria-label="Versions of the text">
    ${step(-1, "The version before", "‹")}<span>${lane.current.value + 1}/${lane.texts.value.length}</span>${step(1, "The version after", "›")}
  </div>`;
}

function Variations({ i, lane }) {
  return html`<section aria-label="Four variations">
    <h2>Four variations</h2>
    ${lane.variations.value.map(
      (text, n) => html`<article class="variation" key=${n}>
        <p class="text">${of.wholeOf(text)}</p>
        <div class="row">
          <${Button} off=${!text.end} onClick=${() => of.choose(i, text)}>Take this one</${Button}>
          <${Button} off=${!text.end || text.verdict} onClick=${() => of.judge(i, "kept", text)}>${text.verdict ? "Kept" : "Keep"}</${Button}>
        </div>
      </article>`,
    )}
    <button type="button" class="link" onClick=${() => (lane.variations.value = [])}>Close</button>
  </section>`;
}

function Place({ i, lane, text }) {
  const found = lane.choice.value;
  const at = lane.at.value;
  if (!found) return html`<p class="hint">Looking…</p>`;
  const word = text.tokens[at]?.text.trim() || "the end";
  return html`<${Candidates} found=${found} word=${word} disabled=${lane.busy.value} take=${(row) => {
      of.take(i, row);
      focusText(i);
    }} leave=${() => focusText(i)}
    more=${() => of.look(i, at, Math.min(200, 4 * found.candidates.length))} />`;
}
