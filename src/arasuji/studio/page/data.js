// The Data room: a corpus, what its rules did, what is wrong with its texts, and the texts themselves.

import { Doctor, quit, visit } from "./doctor.js";
import { kept } from "./kept.js";
import { bindKeys, KeyButton } from "./keys.js";
import { count, Legend, Panel, Prose, step, Texts, Toml } from "./pieces.js";
import { get } from "./server.js";
import { batch, html, signal, useEffect } from "./vendor.js";

const PARTS = { rules: "Rules", doctor: "Doctor", texts: "Texts" };
const PAGE = 20; // texts, as the server gives them
const SPLITS = { train: "training", validation: "validation", test: "test" };

const last = kept("data.corpus", ""); // the corpus that was looked at last
const corpora = signal(null);
const name = signal("");
const part = signal("rules");
const chosen = signal(0); // the number of the rule, or of the finding, whose texts are shown
const about = signal(null);
const examples = signal(null);
const problem = signal("");

export const title = "Data";

const some = (number) => (number ? count(number) : "–");

export async function enter(rest) {
  bindKeys([
    ["j", "the next text", () => step(1)],
    ["k", "the text before", () => step(-1)],
  ]);
  const [corpus, where, which] = rest.split("/");
  batch(() => {
    part.value = Object.hasOwn(PARTS, where) ? where : "rules";
    chosen.value = Number(which) || 0;
  });
  await open(corpus);
  if (part.value === "rules") showExamples();
  if (part.value === "doctor") visit(name.value);
  else quit();
}

export function leave() {
  quit();
  corpora.value = about.value = null; // they may have changed when somebody comes back
  name.value = "";
}

const path = (...parts) => `/api/corpora/${[name.value, ...parts].map(encodeURIComponent).join("/")}`;
const link = (...parts) => `#data/${[name.value, ...parts].map(encodeURIComponent).join("/")}`;

async function open(corpus) {
  try {
    corpora.value ??= await get("/api/corpora");
    const usable = corpora.value.filter((one) => !one.problem).map((one) => one.id);
    if (!corpus) {
      const first = usable.includes(last.value) ? last.value : usable[0];
      if (first) location.replace(`#data/${encodeURIComponent(first)}`);
      return;
    }
    if (corpus === name.value && about.value) return;
    batch(() => {
      name.value = corpus;
      about.value = null;
      problem.value = "";
    });
    const found = await get(path());
    if (corpus !== name.value) return;
    batch(() => {
      about.value = found;
      last.value = corpus;
    });
  } catch (error) {
    problem.value = error.message;
  }
}

async function showExamples() {
  const [corpus, rule] = [name.value, chosen.value];
  examples.value = null;
  if (!about.value) return;
  problem.value = "";
  if (!rule) return;
  try {
    const found = await get(path("rules", rule));
    if (corpus === name.value && rule === chosen.value) examples.value = found.examples;
  } catch (error) {
    problem.value = error.message;
  }
}

export function Room() {
  if (!corpora.value) return problem.value ? html`<${Problem} />` : html`<p>Opening the corpora…</p>`;
  if (!corpora.value.some((one) => !one.problem) && !name.value) return html`<${Welcome} />`;
  return html`
    <div class="corpus">
      <label for="corpus">Corpus</label>
      <select id="corpus" value=${name.value} onChange=${(event) => (location.hash = `data/${encodeURIComponent(event.target.value)}/${part.value}`)}>
        ${corpora.value.map((one) => html`<option value=${one.id}>${one.id}${one.problem ? " (damaged)" : ""}</option>`)}
      </select>
    </div>
    <${Problem} />
    ${about.value && html`<${Corpus} />`}`;
}

function Problem() {
  return problem.value && html`<p class="problem" role="alert">${problem.value}</p>`;
}

function Welcome() {
  return html`<section>
    <h2>No corpus yet</h2>
    <p>Make one of your texts: <code>arasuji prepare FILE --out corpora/NAME</code>. <code>arasuji demo</code> makes one of the texts that come with arasuji.</p>
    ${corpora.value.map((one) => html`<p class="problem">${one.problem}</p>`)}
  </section>`;
}

function Corpus() {
  const { came, documents, hash, notes } = about.value;
  const left = Object.values(documents).reduce((sum, count) => sum + count, 0);
  return html`
    <div>
      <h2>${count(left)} of ${count(came)} texts are left</h2>
      <p>A model learns from ${count(documents.train)} of them; ${count(documents.validation)} decide when its training was best, and ${count(documents.test)} test it.</p>
      <p class="hint">The hash <code title=${hash}>${hash.slice(0, 12)}</code> stands for these texts, their rules and their splits.</p>
      ${notes.length > 0 && html`<details><summary>What was decided as the files were read</summary>
        ${notes.map((note) => html`<p class="hint" key=${note}>${note}</p>`)}</details>`}
    </div>
    <div class="parts">
      <nav aria-label="The corpus">
        ${Object.entries(PARTS).map(([id, says]) => html`<a key=${id} href=${link(id)} aria-current=${part.value === id ? "page" : null}>${says}</a>`)}
      </nav>
      <${KeyButton} />
    </div>
    ${part.value === "rules" && html`<${Rules} />`}
    ${part.value === "doctor" && html`<${Doctor} about=${about.value} chosen=${chosen.value} link=${link} />`}
    ${part.value === "texts" && html`<${Browser} key=${name.value} />`}`;
}

function Rules() {
  const { came, rules, toml } = about.value;
  const removed = came - (rules.at(-1)?.left ?? came);
  return html`<div class="beside">
    <section>
      <table>
        <caption>The rules removed ${count(removed)} texts, in this order</caption>
        <thead><tr><th scope="col">rule</th><th scope="col">removed</th><th scope="col">changed</th><th scope="col">left</th></tr></thead>
        <tbody>
          <tr><th scope="row">as found <${Bar} left=${came} of=${came} /></th><td></td><td></td><td>${count(came)}</td></tr>
          ${rules.map((rule, i) => html`<${Row} key=${i} rule=${rule} number=${i + 1} came=${came} />`)}
        </tbody>
      </table>
      <p class="hint">Each bar shows what is left, and at its end what the rule removed; the line below it shows what it changed.</p>
      ${toml === null
        ? html`<p class="hint">An earlier version made this corpus, and did not keep the parameters of its rules. <code>arasuji prepare</code> keeps them now.</p>`
        : html`<details><summary>The whole rule set</summary>
            <p>Save it as a file, change it, and say <code>arasuji prepare FILE --rules my.toml --out corpora/NAME</code>.</p>
            <${Toml} text=${toml} label="The whole rule set" /></details>`}
    </section>
    ${rules[chosen.value - 1]
      ? html`<${Rule} key=${chosen.value} rule=${rules[chosen.value - 1]} />`
      : html`<p class="hint">Choose a rule to see texts that it touched.</p>`}
  </div>`;
}

function Row({ rule, number, came }) {
  return html`<tr class=${chosen.value === number ? "chosen" : ""}>
    <th scope="row"><a href=${link("rules", number)} aria-current=${chosen.value === number ? "true" : null}>${rule.rule}</a>
      <${Bar} left=${rule.left} removed=${rule.removed} changed=${rule.changed} of=${came} /></th>
    <td>${some(rule.removed)}</td><td>${some(rule.changed)}</td><td>${count(rule.left)}</td>
  </tr>`;
}

// The numbers stand beside it.
function Bar({ left, removed = 0, changed = 0, of }) {
  const part = (texts) => `${(100 * texts) / Math.max(of, 1)}%`;
  return html`<svg class="bar" aria-hidden="true">
    <rect class="left" width=${part(left)} height="8" />
    <rect class="removed" x=${part(left)} width=${part(removed)} height="8" />
    <rect class="changed" y="9" width=${part(changed)} height="2" />
  </svg>`;
}

function Rule({ rule }) {
  const { removed, changed, left, quotable, summary, toml, known } = rule;
  const shown = examples.value;
  const did = [removed && `removed ${count(removed)}`, changed && `changed ${count(changed)}`].filter(Boolean).join(" and ");
  return html`<${Panel} filled=${shown !== null}>
    <h3>${rule.rule}</h3>
    <p><${Prose} text=${summary} /></p>
    <p>${did ? `Of ${count(left + removed)} texts it ${did}.` : "This rule touched nothing."}</p>
    ${toml && html`<${Toml} text=${toml} label=${`The rule ${rule.rule}`} />`}
    ${!known && html`<p class="hint">An earlier version made this corpus, and did not keep the parameters of its rules${toml ? ": these are those of the default rules" : ""}.</p>`}
    ${did && !quotable && html`<p class="hint">What this rule removes is not shown.</p>`}
    ${did && quotable && shown?.length === 0 && html`<p class="hint">The texts that it removed are empty.</p>`}
    ${shown?.length > 0 && html`<${Legend} texts=${shown} /><${Texts} texts=${shown} label=${`Texts that the rule ${rule.rule} touched`} />`}
  </${Panel}>`;
}

const split = kept("data.split", "train");
const word = kept("data.word", "");
const offset = signal(0);
const found = signal(null);

async function search(from) {
  const corpus = name.value;
  offset.value = from;
  try {
    const answer = await get(`${path("texts")}?${new URLSearchParams({ split: split.value, word: word.value.trim(), offset: from })}`);
    if (corpus === name.value) found.value = answer;
  } catch (error) {
    problem.value = error.message;
  }
}

function Browser() {
  useEffect(() => {
    search(0);
    return () => (found.value = null);
  }, []);
  const submit = (event) => {
    event.preventDefault();
    search(0);
  };
  const texts = found.value?.texts ?? [];
  return html`<section>
    <form class="row" onSubmit=${submit}>
      <div class="wide"><label for="word">A word, or a part of one</label>
        <input id="word" type="text" maxlength="200" value=${word.value} onInput=${(event) => (word.value = event.target.value)} /></div>
      <div><label for="split">Split</label>
        <select id="split" value=${split.value} onChange=${(event) => ((split.value = event.target.value), search(0))}>
          ${Object.entries(SPLITS).map(([id, says]) => html`<option value=${id}>${says} (${count(about.value.documents[id])})</option>`)}
        </select></div>
      <button class="first">Search</button>
    </form>
    <p class="hint" role="status">${found.value && (texts.length ? `Texts ${count(offset.value + 1)} to ${count(offset.value + texts.length)}.` : "No text has it.")}</p>
    ${texts.length > 0 && html`<${Texts} texts=${texts} label="Texts of the corpus" />`}
    <div class="row">
      <button disabled=${!offset.value} onClick=${() => search(Math.max(0, offset.value - PAGE))}>Back</button>
      <button disabled=${!found.value?.more} onClick=${() => search(offset.value + PAGE)}>Next</button>
    </div>
  </section>`;
}
