// What a transformer reads: the attention of one word over the words before it, by layer and head.

import { percent, shown } from "./choice.js";
import { post } from "./server.js";
import { html, useEffect, useSignal } from "./vendor.js";

export function Attention({ question }) {
  const found = useSignal(null);
  const problem = useSignal("");
  const reader = useSignal(-1); // the token that reads
  const read = useSignal(-1); // the token that the grid is about
  const head = useSignal(null); // [layer, head], or null for the mean of all
  const picks = useSignal("reader");
  const key = JSON.stringify([question.run, question.prompt, question.ids, question.fields]);

  useEffect(() => {
    reader.value = read.value = -1;
    head.value = null;
    load(0, true);
  }, [key]);

  // The last token of the text reads first; its number is known when the text has come.
  async function load(token, first = false) {
    try {
      let answer = await post("/api/inside/attention", { ...question, token });
      if (first) answer = await post("/api/inside/attention", { ...question, token: answer.texts.length - 1 });
      found.value = answer;
      reader.value = answer.token;
      read.value = strongest(answer);
      problem.value = "";
    } catch (error) {
      problem.value = error.message;
    }
  }

  if (problem.value) return html`<p class="problem" role="alert">${problem.value}</p>`;
  if (!found.value) return html`<p class="hint">Opening the model with whole weights…</p>`;
  const { texts, weights, token } = found.value;
  const shares = head.value ? weights[head.value[0]][head.value[1]] : mean(weights);
  const most = Math.max(1, ...shares.slice(1, token + 1));
  const pick = (i) => {
    if (picks.value === "reader") load(i);
    else if (i <= token) read.value = i;
  };
  const walk = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const next = event.currentTarget.children[token + step];
    if (!next) return;
    event.preventDefault();
    event.stopPropagation();
    next.focus();
    load(token + step);
  };
  const word = (i) => (i === 0 ? "the start" : `“${texts[i].trim() || "·"}”`);
  return html`<section class="attention" aria-label="What it reads">
    <h2>${word(token)} gives ${percent(shares[0] / 1e4)} of its attention to the start${read.value > 0 ? `, ${percent(shares[read.value] / 1e4)} to ${word(read.value)}` : ""}</h2>
    <p class="hint">To predict what follows ${word(token)}, the model mixes what it has made of the words up to there; the darker a word, the larger its share.
      Hatched words come later: the model may not look at them, in training too, since it could copy the answer instead of predicting it. Much attention rests on the start, which says little; it is not tinted.</p>
    <fieldset class="row"><legend>A click chooses</legend>
      <label class="check"><input type="radio" name="picks" checked=${picks.value === "reader"} onChange=${() => (picks.value = "reader")} /> the word that reads</label>
      <label class="check"><input type="radio" name="picks" checked=${picks.value === "read"} onChange=${() => (picks.value = "read")} /> the word that is read</label>
    </fieldset>
    <div class="text" role="group" aria-label="The text: arrow keys choose a word" onKeyDown=${walk}>${texts.map(
      (text, i) => html`<button key=${i} type="button" tabindex=${i === token ? 0 : -1} class=${`token${i === 0 ? " start" : ""}${i === token ? " chosen" : ""}${i > token ? " masked" : ""}${i === read.value ? " read" : ""}`}
        style=${{ "--surprise": i > token || i === 0 ? 0 : (shares[i] / most).toFixed(3) }} title=${i > token ? "masked" : percent(shares[i] / 1e4)} onClick=${() => pick(i)}>${i === 0 ? "start" : shown(text)}</button>`,
    )}</div>
    <div class="row">
      <${Pick} id="layer" label="Layer" count=${weights.length} value=${head.value?.[0]} change=${(layer) => (head.value = layer === null ? null : [layer, head.value?.[1] ?? 0])} />
      <${Pick} id="head" label="Head" count=${weights[0].length} value=${head.value?.[1]} change=${(own) => (head.value = own === null ? null : [head.value?.[0] ?? 0, own])} />
      <button type="button" disabled=${!head.value} onClick=${() => (head.value = null)}>The mean of all heads</button>
    </div>
    ${read.value > 0 && html`<${Grid} weights=${weights} to=${read.value} head=${head} caption=${`How much each head lets ${word(token)} read of ${word(read.value)}: a column for each layer, a row for each head`} />`}
    <p class="hint">Heads look at different things, and a weight is no explanation: the layers above mix what was read again.</p>
  </section>`;
}

function Pick({ id, label, count, value, change }) {
  return html`<div><label for=${`attention-${id}`}>${label}</label>
    <select id=${`attention-${id}`} value=${value ?? ""} onChange=${(e) => change(e.target.value === "" ? null : Number(e.target.value))}>
      <option value="">all</option>
      ${Array.from({ length: count }, (_, n) => html`<option key=${n} value=${n}>${n + 1}</option>`)}
    </select></div>`;
}

// The two lists choose a head by keyboard; a click on the grid does the same.
function Grid({ weights, to, head, caption }) {
  const heads = weights[0].length;
  const [best] = weights.flatMap((row, l) => row.map((own, h) => [own[to], l, h])).sort((a, b) => b[0] - a[0]);
  return html`<figure class="grid">
    <svg viewBox=${`0 0 ${weights.length * 20} ${heads * 14}`} style=${{ "max-width": `${weights.length * 2}rem` }} role="img" aria-label=${`${caption}. Most in layer ${best[1] + 1}, head ${best[2] + 1}: ${percent(best[0] / 1e4)}`}>
      ${weights.map((row, l) => row.map((own, h) => html`<rect key=${`${l}-${h}`} x=${l * 20 + 1} y=${h * 14 + 1} width="18" height="12" class=${head.value?.[0] === l && head.value?.[1] === h ? "chosen" : ""}
        style=${{ "--surprise": (own[to] / 1e4).toFixed(3) }} onClick=${() => (head.value = [l, h])}><title>${`layer ${l + 1}, head ${h + 1}: ${percent(own[to] / 1e4)}`}</title></rect>`))}
    </svg>
    <figcaption>${caption}. Most in <button type="button" class="link" onClick=${() => (head.value = [best[1], best[2]])}>layer ${best[1] + 1}, head ${best[2] + 1}</button>: ${percent(best[0] / 1e4)}.</figcaption>
  </figure>`;
}

const mean = (weights) => weights[0][0].map((_, s) => weights.flat().reduce((sum, own) => sum + own[s], 0) / weights.flat().length);

function strongest({ weights, token }) {
  const shares = mean(weights);
  let best = 0;
  for (let i = 1; i < token; i++) if (!best || shares[i] > shares[best]) best = i;
  return best;
}
