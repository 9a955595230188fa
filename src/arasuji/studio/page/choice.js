// The tokens that could stand at a place, as a list to choose from.

import { Button } from "./button.js";
import { html, useEffect, useRef } from "./vendor.js";

export const percent = (share) => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;
export const shown = (text) => text.replaceAll("\n", "⏎") || "·"; // of a token that can be clicked
export const named = (token) => (token.ends ? "the end of the text" : token.text.replaceAll("\n", "⏎").trim() || (token.text ? "a space" : "a part of a character"));

const CUT_BY = { rules: "the rules", top_k: "top-k", top_p: "top-p", min_p: "min-p" };
export const cutBy = (token) => CUT_BY[token.cut_by];

const STEPS = { ArrowDown: 1, ArrowUp: -1 };

// `take` gets the token that is clicked, `more` asks for more of them, and Escape calls `leave`.
export function Candidates({ found, word, disabled, take, more, leave }) {
  const list = useRef(null);
  useEffect(() => list.current.scrollIntoView({ block: "nearest" }), [found]);
  const move = (event) => {
    if (event.key === "Escape") leave();
    else if (!STEPS[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
    const buttons = [...list.current.querySelectorAll("li button")];
    buttons[buttons.indexOf(document.activeElement) + STEPS[event.key]]?.focus();
  };
  const cut = found.candidates.some((row) => row.cut_by);
  return html`<section aria-label=${`What else could stand in the place of ${word}`}>
    <h2>What else could stand in the place of “${word}”</h2>
    <ol class="candidates" ref=${list} onKeyDown=${move}>
      ${found.candidates.map(
        (row) => html`<li key=${row.id}><${Button} off=${row.ends || disabled} style=${{ "--share": row.raw.toFixed(4) }}
          title=${row.cut_by ? `cut by ${cutBy(row)}` : null} onClick=${() => take(row)}>
          <span class=${row.cut_by ? "cut" : ""}>${named(row)}${row.id === found.chosen ? " ←" : ""}</span>
          <span>${percent(row.raw)}</span></${Button}></li>`,
      )}
    </ol>
    <p class="hint">${found.others.toLocaleString("en")} more tokens, ${percent(found.rest_raw)}.${" "}
      ${found.others > 0 && html`<button type="button" class="link" onClick=${more}>Show more</button>`}
      ${" "}The arrow marks what this seed and these settings draw here.${cut ? " Struck out: cut by the settings or the rules." : ""} A click continues with another one; the old text stays.</p>
  </section>`;
}
