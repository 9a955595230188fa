// Texts with marks in them, lists of such texts that j and k go through, and TOML to copy.

import { html, useEffect, useRef, useSignal } from "./vendor.js";

export const count = (number) => number.toLocaleString("en");
const KINDS = { out: "del", in: "ins", mark: "mark" };

// The parts of a text: [kind, text], as the server's Example.pieces gives them.
function Pieces({ pieces }) {
  return pieces.map(([kind, text], i) => {
    const Kind = KINDS[kind];
    return Kind ? html`<${Kind} key=${i}>${kind === "mark" ? text : seen(text)}</${Kind}>` : text;
  });
}

// What is put in or taken out must be seen, also where it is white space alone.
function seen(text) {
  const lines = text.replaceAll("\n", "⏎").replaceAll("\t", "⇥");
  return lines.trim() ? lines : lines.replaceAll(/\s/g, "␣");
}

export function Texts({ texts, label }) {
  return html`<ol class="texts" tabindex="0" aria-label=${label}>
    ${texts.map(
      ({ pieces, title }, i) => html`<li key=${i} tabindex="-1">
        ${title && html`<h4>${title}</h4>`}
        <p dir="auto"><${Pieces} pieces=${pieces} /></p>
      </li>`,
    )}
  </ol>`;
}

// What was chosen. Where it stands below what it was chosen from, as on a phone, it comes into view.
export function Panel({ filled, children }) {
  const own = useRef(null);
  useEffect(() => {
    const from = own.current.previousElementSibling.getBoundingClientRect();
    if (from.bottom <= own.current.getBoundingClientRect().top) own.current.scrollIntoView();
  }, [filled]);
  return html`<section ref=${own}>${children}</section>`;
}

// What the marks mean that occur.
export function Legend({ texts }) {
  const kinds = new Set(texts.flatMap(({ pieces }) => pieces.map(([kind]) => kind)));
  return html`<p class="hint">
    ${texts.length === 1 ? "One" : texts.length} of them.
    ${kinds.has("out") && html` <del>Struck</del>: what the rule takes out.`}
    ${kinds.has("in") && html` <ins>Underlined</ins>: what it puts in.`}
    ${kinds.has("mark") && html` <mark>Marked</mark>: for this the rule removes the text.`}
  </p>`;
}

// A docstring, which has what is code between backticks.
export function Prose({ text }) {
  return text.split("`").map((part, i) => (i % 2 ? html`<code>${part}</code>` : part));
}

// Go to the next text, or to the one before: 1 or -1.
export function step(by) {
  const texts = [...document.querySelectorAll(".texts > li")];
  const at = texts.indexOf(document.activeElement.closest(".texts > li"));
  texts[Math.min(Math.max(at + by, 0), texts.length - 1)]?.focus();
}

// A clipboard is there only for a page of this machine or of a safe connection; elsewhere the text is selected.
export function Toml({ text, label }) {
  const state = useSignal("");
  const field = useRef(null);
  useEffect(() => {
    if (state.value === "selected") field.current.select();
  }, [state.value]);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      state.value = "copied";
    } catch {
      state.value = "selected";
    }
  };
  return html`<div class="toml">
    ${state.value === "selected"
      ? html`<textarea ref=${field} readonly rows=${text.trimEnd().split("\n").length} aria-label=${label} value=${text} />`
      : html`<pre tabindex="0" role="group" aria-label=${label}><code>${text.trimEnd()}</code></pre>`}
    <button onClick=${copy}>Copy</button>
    <span class="hint" role="status">${{ copied: "Copied.", selected: "It is selected: copy it with Ctrl-C." }[state.value] ?? ""}</span>
  </div>`;
}
