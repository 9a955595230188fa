// Letter keys of the open room. They do nothing while something is typed, `?` lists them, and they can be switched off.

import { kept } from "./kept.js";
import { html, signal, useEffect, useRef } from "./vendor.js";

const on = kept("keys", true);
const listed = signal(false);
const bound = signal([]); // [key, what it does, the function]

// A room binds its keys when it is entered; the next room's take their place.
export function bindKeys(list) {
  bound.value = list;
}

const isTyping = ({ target }) => target.closest?.("input:not([type=radio], [type=checkbox]), textarea, select, dialog") != null;

addEventListener("keydown", (event) => {
  if (event.target.type === "radio" && event.key.startsWith("Arrow")) return; // they move between radio buttons
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return;
  if (event.key === "?") {
    listed.value = true;
    return;
  }
  const [, , act] = bound.value.find(([key]) => key === event.key) ?? [];
  if (act && on.value) {
    event.preventDefault();
    act();
  }
});

export function KeyList() {
  const dialog = useRef(null);
  useEffect(() => {
    if (listed.value && !dialog.current.open) dialog.current.showModal();
  });
  return html`<dialog ref=${dialog} onClose=${() => (listed.value = false)} aria-labelledby="keys-title">
    ${listed.value &&
    html`<h2 id="keys-title" tabindex="-1" autofocus>${bound.value.length ? "Keys of this room" : "This room has no keys"}</h2>
      <dl class="keys">${bound.value.map(([key, does]) => html`<div key=${key}><dt><kbd>${key}</kbd></dt><dd>${does}</dd></div>`)}</dl>
      <label><input type="checkbox" checked=${on.value} onChange=${(e) => (on.value = e.target.checked)} /> Letter keys are on</label>
      <button onClick=${() => dialog.current.close()}>Close</button>`}
  </dialog>`;
}

export function KeyButton() {
  return html`<button class="quiet by-keys" onClick=${() => (listed.value = true)}>Keys (?)</button>`;
}
