// What an LSTM keeps: its gates and its memory over the text, single cells, and what a reset of the memory loses.

import { percent, shown } from "./choice.js";
import { post } from "./server.js";
import { html, useEffect, useRef, useSignal } from "./vendor.js";

const BAND = 56; // the height of the lines below the text, in pixels
const NAME_WIDTH = 84; // of the longest name beside its line
const LINES = [["forget", "forget gate"], ["input", "input gate"], ["cell", "memory"]];

export function Memory({ question }) {
  const found = useSignal(null);
  const problem = useSignal("");
  const layer = useSignal(-1);
  const cell = useSignal(null);
  const at = useSignal(-1);
  const cut = useSignal(null);
  const key = JSON.stringify([question.run, question.prompt, question.ids, question.fields]);

  useEffect(() => {
    layer.value = -1;
  }, [question.run]);
  useEffect(() => {
    at.value = -1;
    cell.value = cut.value = null;
  }, [key]);
  useEffect(() => {
    load(layer.value, cell.value);
  }, [key, layer.value, cell.value]);

  async function load(ownLayer, ownCell) {
    try {
      const answer = await post("/api/inside/memory", { ...question, layer: ownLayer, cell: ownCell });
      if (at.value < 0 || at.value >= answer.texts.length) at.value = answer.texts.length - 1;
      found.value = answer;
      problem.value = "";
    } catch (error) {
      problem.value = error.message;
    }
  }

  async function reset() {
    try {
      cut.value = await post("/api/inside/reset", { ...question, token: at.value });
    } catch (error) {
      problem.value = error.message;
    }
  }

  if (problem.value) return html`<p class="problem" role="alert">${problem.value}</p>`;
  if (!found.value) return html`<p class="hint">Opening the model with whole weights…</p>`;
  const { texts, moved, layers } = found.value;
  const word = (i) => (i === 0 ? "the start" : `“${texts[i]?.trim() || "·"}”`);
  return html`<section class="memory" aria-label="What it keeps">
    <p class="hint">At each word the <b class="forget">forget gate</b> says how much of the old memory stays, and the <b class="input">input gate</b> how much of the new is added: both from 0 to 1, here as means over the cells.
      The <b class="cell">memory</b> is the mean size of the cells, in parts of its largest value. From word to word this model carries nothing but its cells and what they put out, in all its layers.</p>
    ${layers > 1 && html`<div class="row"><div><label for="memory-layer">Layer</label>
      <select id="memory-layer" value=${found.value.layer} onChange=${(e) => (layer.value = Number(e.target.value))}>
        ${Array.from({ length: layers }, (_, n) => html`<option key=${n} value=${n}>${n + 1} of ${layers}</option>`)}
      </select></div></div>`}
    <${Lines} found=${found.value} cell=${cell.value} at=${at} />
    ${at.value >= 0 && html`<p>At ${word(at.value)} it keeps on average ${percent(found.value.lines.forget[at.value])} of its old memory, and lets in ${percent(found.value.lines.input[at.value])} of the new.</p>`}
    <div class="row">
      <div><h2>${word(at.value)} moved these cells most</h2>
        <div class="row">${(moved[at.value] ?? []).map(([number, change]) => html`<button key=${number} type="button" aria-pressed=${cell.value === number}
          onClick=${() => (cell.value = cell.value === number ? null : number)}>cell ${number}: ${change > 0 ? "+" : "−"}${Math.abs(change).toFixed(2)}</button>`)}</div>
        ${cell.value !== null && html`<p class="hint">The words are tinted by the value of cell ${cell.value} after each: blue above 0, red below. Most cells mean nothing that has a name.</p>`}
      </div>
    </div>
    <p><button type="button" disabled=${at.value < 1} onClick=${reset}>✂ Empty the memory before ${word(at.value)}</button></p>
    ${cut.value && html`<${Reset} cut=${cut.value} word=${word} />`}
  </section>`;
}

function Lines({ found, cell, at }) {
  const box = useRef(null);
  const places = useSignal([]);
  const width = useSignal(0);
  useEffect(() => {
    const measure = () => {
      if (!box.current) return;
      places.value = [...box.current.querySelectorAll(".token")].map((token) => ({ x: token.offsetLeft + token.offsetWidth / 2, y: token.offsetTop + token.offsetHeight }));
      width.value = box.current.clientWidth;
    };
    measure();
    const watcher = new ResizeObserver(measure);
    watcher.observe(box.current);
    return () => watcher.disconnect();
  }, [found]);
  const { texts, lines } = found;
  const walk = (event) => {
    const next = at.value + ({ ArrowRight: 1, ArrowLeft: -1 }[event.key] ?? NaN);
    if (!(next >= 0 && next < texts.length)) return;
    event.preventDefault();
    event.stopPropagation();
    at.value = next;
    event.currentTarget.children[next].focus();
  };
  const largest = Math.max(...lines.cell, 1e-9);
  const most = Math.max(...(found.cell ?? [0]).map(Math.abs), 1e-9);
  const tint = (i) => (found.cell && cell !== null ? { "--surprise": (Math.abs(found.cell[i]) / most).toFixed(3) } : {});
  const rows = places.value.length === texts.length ? byRow(places.value) : []; // not those of another text
  return html`<div class="text lines" ref=${box} role="group" aria-label="The text, with its gates below: arrow keys choose a word" onKeyDown=${walk}>
    ${texts.map((text, i) => html`<button key=${i} type="button" tabindex=${i === at.value ? 0 : -1} class=${`token${i === 0 ? " start" : ""}${i === at.value ? " chosen" : ""}${found.cell && found.cell[i] < 0 ? " below" : ""}`}
      aria-pressed=${i === at.value} style=${tint(i)} title=${`forget ${lines.forget[i].toFixed(2)}, input ${lines.input[i].toFixed(2)}, memory ${lines.cell[i].toFixed(2)}`}
      onClick=${() => (at.value = i)}>${i === 0 ? "start" : shown(text)}</button>`)}
    <svg class="bands" width=${width.value} height=${(places.value.at(-1)?.y ?? 0) + BAND + 12} aria-hidden="true">
      ${rows.map((row, r) => {
        const foot = row.y + BAND + 4;
        const names = new Set();
        return html`<g key=${r}>
          <line x1="0" x2=${width.value} y1=${foot} y2=${foot} class="axis" /><line x1="0" x2=${width.value} y1=${foot - BAND} y2=${foot - BAND} class="axis" />
          ${LINES.map(([name, label]) => {
            const y = (i) => foot - (BAND * lines[name][i]) / (name === "cell" ? largest : 1);
            const last = row.tokens.at(-1);
            let label_y = y(last) + 4;
            while ([...names].some((other) => Math.abs(other - label_y) < 12)) label_y += 2;
            names.add(label_y);
            return html`<g key=${name} class=${name}>
              <polyline points=${row.tokens.map((i) => `${places.value[i].x},${y(i).toFixed(1)}`).join(" ")} />
              ${r === 0 && places.value[last].x + NAME_WIDTH < width.value && html`<text x=${places.value[last].x + 6} y=${label_y}>${label}</text>`}
            </g>`;
          })}
        </g>`;
      })}
    </svg>
  </div>`;
}

function byRow(places) {
  const rows = [];
  places.forEach(({ y }, i) => {
    if (!rows.length || Math.abs(rows.at(-1).y - y) > 8) rows.push({ y, tokens: [] });
    rows.at(-1).tokens.push(i);
  });
  return rows;
}

function Reset({ cut, word }) {
  const list = (rows) => html`<ol class="candidates">${rows.map((row, n) => html`<li key=${n} style=${{ "--share": row.share.toFixed(4) }}><span>${row.ends ? "the end of the text" : /^\s/.test(row.text) ? row.text.trim() || "·" : `…${row.text}`}</span><span>${percent(row.share)}</span></li>`)}</ol>`;
  const rest = cut.bits.length
    ? `Without this memory the ${cut.bits.length} tokens after ${word(cut.at)} cost ${Math.abs(cut.lost).toFixed(1)} bits ${cut.lost >= 0 ? "more" : "less"}.`
    : "No token comes after it.";
  const agree = cut.agree_after === null ? "The two predictions do not agree again before the end of the text." : `The two predictions agree again after ${cut.agree_after} tokens.`;
  return html`<section aria-label="What a reset loses">
    <h2>After a reset before ${word(cut.at)}</h2>
    <p>${rest} ${agree}</p>
    <div class="columns">
      <div><h3>What follows ${word(cut.at)}, with the memory</h3>${list(cut.before)}</div>
      <div><h3>With an empty memory</h3>${list(cut.after)}</div>
    </div>
    <p class="hint">After a reset the model has read ${word(cut.at)} alone. Two predictions agree here where they differ by at most 10 % (total variation).</p>
  </section>`;
}
