// How one token is chosen: its candidates keep their rows through every stage, and a line shows where the draw fell.

import { cutBy, named, percent } from "./choice.js";
import { html } from "./vendor.js";

const CUT_NAMES = { top_k: "top-k", top_p: "top-p", min_p: "min-p" };

// `stands` is the token of the text at this place; undefined where none is written yet.
export function Stages({ found, take, more, stands }) {
  if (!found) return html`<p class="hint">Looking…</p>`;
  const rows = found.candidates;
  const drawn = rows.find((row) => row.id === found.chosen);
  const ruled = rows.some((row) => Math.abs(row.ruled - row.raw) > 0.0005) || found.forbidden > 0;
  return html`<section class="stages" aria-label="How the word is chosen">
    <h2>${heading(drawn, stands)}</h2>
    <div class="box"><table>
      <thead><tr><th scope="col">word</th><th scope="col">the model's own</th>${ruled && html`<th scope="col" class="between">after the rules</th>`}
        <th scope="col" class="between">after temperature</th><th scope="col">after the cuts</th></tr></thead>
      <tbody>
        ${rows.map((row, i) => {
          const limit = found.cuts.find((cut) => row.cut_by === cut.setting && rows[i - 1] && rows[i - 1].cut_by !== cut.setting);
          return html`<tr key=${row.id} class=${`${row.cut_by ? "out" : ""}${row.id === found.chosen ? " drawn" : ""}${limit ? " limit" : ""}`}>
            <th scope="row"><button type="button" class="link" aria-disabled=${row.ends || !take} title="Take this one and go on" onClick=${() => !row.ends && take?.(row)}>${named(row)}</button></th>
            <${Share} of=${row.raw} />
            ${ruled && (row.cut_by === "rules" ? html`<td class="why between">not allowed</td>` : html`<${Share} of=${row.ruled} between />`)}
            <${Share} of=${row.tempered} between />
            ${row.cut_by ? html`<td class="why">cut by ${cutBy(row)}</td>` : html`<${Share} of=${row.final} />`}
          </tr>`;
        })}
        <tr class="rest"><th scope="row">${found.others.toLocaleString("en")} more</th><${Share} of=${found.rest_raw} />
          ${ruled && html`<td class="between"></td>`}<td class="between"></td><${Share} of=${found.rest_final} /></tr>
      </tbody>
    </table></div>
    <p><button type="button" class="link" onClick=${() => more(Math.min(200, 4 * rows.length))}>Show more words</button></p>
    <${Line} found=${found} drawn=${drawn} />
    <ul class="explained">
      ${found.forbidden > 0 && html`<li>The rules forbid ${found.forbidden.toLocaleString("en")} tokens here: those that would complete a copy or repeat a word, and those that never stand in a text.</li>`}
      ${found.cuts.map((cut) => html`<li key=${cut.setting}>${CUT_NAMES[cut.setting]} ${cut.value} keeps ${cut.kept.toLocaleString("en")} ${cut.kept === 1 ? "token, which" : "tokens, which"} had ${percent(cut.share)} together; what is left is scaled up to 100 %.</li>`)}
      <li>${found.number === null
        ? "The temperature is 0: the likeliest token is always taken, and nothing is drawn."
        : "Why not always the likeliest? Then every text of this beginning would be the same, and soon repeat itself. So a token is drawn by chance: one with 12 % comes about 12 times in 100. Temperature 0 always takes the likeliest."}</li>
    </ul>
  </section>`;
}

function heading(drawn, stands) {
  if (!stands) return drawn.ends ? "Here the text would end" : `The next word would be “${named(drawn)}”`;
  if (stands.id === drawn.id) return `This word is “${named(drawn)}”`;
  return `“${named(stands)}” was taken; drawn here would be “${named(drawn)}”`;
}

function Share({ of, between }) {
  return html`<td class=${between ? "share between" : "share"} style=${{ "--share": of.toFixed(4) }}>${percent(of)}</td>`;
}

// The line from 0 to 1 on which every token has a part as long as its probability.
function Line({ found, drawn }) {
  if (found.number === null) return null;
  const parts = found.candidates.filter((row) => row.final > 0);
  const where = `${drawn.low.toFixed(3)} to ${(drawn.low + drawn.final).toFixed(3)}`;
  const said = `The random number ${found.number.toFixed(3)} falls into the part of “${named(drawn)}”, from ${where}.`;
  return html`<figure>
    <svg class="line" viewBox="0 0 1000 66" role="img" aria-label=${said} preserveAspectRatio="none">
      <rect x="0" y="18" width="1000" height="30" class="others" />
      ${parts.map((row) => html`<rect key=${row.id} x=${1000 * row.low} y="18" width=${Math.max(1000 * row.final, 1)} height="30" class=${row.id === found.chosen ? "part drawn" : "part"}><title>${`${named(row)}: ${percent(row.final)}`}</title></rect>`)}
      <line x1=${1000 * found.number} x2=${1000 * found.number} y1="4" y2="62" class="mark" />
    </svg>
    <figcaption>${said} All tokens that are left lie on this line from 0 to 1, each as long as its probability, in the order of the vocabulary; grey are those that the table does not name.</figcaption>
  </figure>`;
}
