// The Write room: one prompt, two models that write side by side.

import { Button } from "./button.js";
import { bindKeys, KeyButton } from "./keys.js";
import { Lane, MOST_BITS } from "./lane.js";
import * as of from "./lanes.js";
import { Broken, failed, loadRuns, runs, Told, usable } from "./runs.js";
import { Settings, Wishes } from "./settings.js";
import { effect, html } from "./vendor.js";
import { Welcome } from "./welcome.js";

export const title = "Write";

export async function enter() {
  const own = (what) => () => what(of.active.value);
  bindKeys([
    ["Ctrl-Enter", "write", begin],
    ["Escape", "stop; or leave a field, so that letters are keys again", of.stop],
    ["k", "keep the text: it goes to the desk", own((i) => of.judge(i, "kept"))],
    ["x", "reject it", own((i) => of.judge(i, "rejected"))],
    ["e", "edit it", () => document.querySelector('.lane.active [aria-keyshortcuts="e"]')?.click()],
    ["c", "continue it", own(of.goOn)],
    ["r", "write it again from the chosen word, or from the start", own(of.retry)],
    ["v", "four variations from the chosen word, or from the start", own(of.vary)],
    ["u", "undo the last thing, whatever it was", of.undo],
    ["w", "go through the words of the text with arrow keys", goToWords],
    ["[", "the version before", own((i) => of.show(i, -1))],
    ["]", "the version after", own((i) => of.show(i, 1))],
    ["1", "act on the first model", () => (of.active.value = 0)],
    ["2", "act on the second model", () => (of.active.value = 1)],
  ]);
  await loadRuns();
  if (failed.value) return;
  const names = usable.value.map((run) => run.id);
  const texts = usable.value.filter((run) => run.predicts === "text").map((run) => run.id);
  of.chosen.value = [0, 1].map((i) => (names.includes(of.chosen.value[i]) ? of.chosen.value[i] : (texts[i] ?? "")));
}

function goToWords() {
  const text = document.querySelector(".lane.active .text");
  text?.focus();
  text?.dispatchEvent(new KeyboardEvent("keydown", { key: "w", bubbles: true }));
}

// Write, and bring the texts into view where they are below the window.
function begin() {
  if (of.writing.value) return;
  of.write();
  const lanes = document.querySelector(".tabs").offsetHeight ? ".tabs" : ".lanes";
  const place = document.querySelector(lanes);
  if (place.getBoundingClientRect().top > innerHeight / 2) place.scrollIntoView();
}

addEventListener("keydown", (event) => {
  if (!document.querySelector("main.write")) return;
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    begin();
  } else if (event.key === "Escape") {
    if (of.writing.value) of.stop();
    else if (document.activeElement.matches("input, textarea, select")) document.activeElement.blur();
  }
});

export function Room() {
  if (failed.value) return html`<p class="problem" role="alert">${failed.value}. Is the server still running?</p>`;
  if (!runs.value) return html`<p>Opening the runs…</p>`;
  if (!usable.value.length) return html`<${Broken} /><${Welcome} />`;
  const submit = (event) => {
    event.preventDefault();
    begin();
  };
  const names = of.chosen.value.filter(Boolean);
  const writing = of.writing.value;
  return html`
    <${Broken} />
    <form onSubmit=${submit}>
      <div><label for="prompt">The beginning</label>
        <textarea id="prompt" rows="2" value=${of.prompt.value} onInput=${(e) => (of.prompt.value = e.target.value)} /></div>
      <${Told} names=${names} />
      <div class="row actions">
        <button class="first" aria-disabled=${writing || !names.length}>Write</button>
        <${Button} off=${!writing} onClick=${of.stop}>Stop</${Button}>
        <${Button} off=${writing || !names.length} onClick=${of.another}>Another one</${Button}>
        <${Button} off=${!of.lastAction.value} onClick=${of.undo}>Undo${of.lastAction.value ? ` ${of.lastAction.value}` : ""}</${Button}>
        <p class="hint by-keys">Ctrl-Enter writes, Esc stops.</p>
        <${KeyButton} />
      </div>
      <${Settings} names=${names} />
      <${Wishes} />
    </form>
    <div class="scale">expected <span></span> surprising (${MOST_BITS} bits per letter or more). Click or tap a word to see what else could stand there.</div>
    ${writing && html`<div class="now"><button class="first" onClick=${of.stop}>Stop</button></div>`}
    <p class="unseen" role="status" aria-live="polite">${of.said.value}</p>
    <div class="tabs" role="group" aria-label="The model that is shown">
      ${[0, 1].map((i) => html`<button key=${i} aria-pressed=${of.active.value === i} onClick=${() => (of.active.value = i)}>${of.chosen.value[i] || "none"}</button>`)}
    </div>
    <div class="lanes">${[0, 1].map((i) => html`<${Lane} key=${i} i=${i} />`)}</div>`;
}

effect(() => {
  document.title = of.writing.value ? "writing… あらすじ" : "あらすじ arasuji";
});
