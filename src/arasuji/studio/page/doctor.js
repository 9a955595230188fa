// The Data room's doctor: what `arasuji inspect` finds in the texts of a corpus, and what mends it.

import { count, Legend, Panel, Texts, Toml } from "./pieces.js";
import { polled } from "./poll.js";
import { get, post } from "./server.js";
import { batch, html, signal } from "./vendor.js";

const SECONDS = 1.5; // between two questions how far it is
const FEW = 6; // clusters, phrases and languages that are shown

const corpus = signal("");
const inspection = signal(null);
const problem = signal("");
const asking = polled(ask, SECONDS);

const path = (part) => `/api/corpora/${encodeURIComponent(corpus.value)}/${part}`;

export function visit(name) {
  if (name === corpus.value && inspection.value?.state === "done") return;
  batch(() => {
    corpus.value = name;
    inspection.value = null;
    problem.value = "";
  });
  if (name) asking.start();
}

export function quit() {
  asking.stop();
  corpus.value = "";
}

async function ask() {
  const name = corpus.value;
  try {
    const found = await get(path("inspection"));
    if (name !== corpus.value) return true;
    inspection.value = found;
    problem.value = "";
  } catch (error) {
    problem.value = error.message;
  }
  return inspection.value?.state === "running";
}

async function tell(question) {
  try {
    await question();
    asking.start();
  } catch (error) {
    problem.value = error.message;
  }
}

const start = () => tell(() => post(path("inspect"), {}));
const stop = () => tell(() => post(`/api/jobs/${encodeURIComponent(inspection.value.job)}/stop`, {}));

export function Doctor({ about, chosen, link }) {
  const found = inspection.value;
  return html`
    ${problem.value && html`<p class="problem" role="alert">${problem.value}</p>`}
    ${found?.state === "failed" && html`<p class="problem" role="alert">The inspection has ended early: ${found.said}. Start it again.</p>`}
    ${found && found.state !== "done" && html`<${Before} about=${about} running=${found.state === "running"} said=${found.said} />`}
    ${found?.state === "done" && html`<${Found} about=${about} result=${found.result} of=${found.of} chosen=${chosen} link=${link} />`}`;
}

function Before({ about, running, said }) {
  const { sources } = about;
  return html`<section class="reading">
    <h3>What is wrong with the texts, and what mends it</h3>
    <p>${sources.length
      ? `The texts are examined as they were found in ${sources.join(", ")}: repeats, damage, phrases that many share, lengths, and what a model will learn from them.`
      : "The files that this corpus was made of are gone, or were not noted by an earlier version. So the corpus itself is examined: what its rules have removed or mended is not found."}</p>
    <p class="hint">It takes about a minute for 25,000 texts, and goes on without this page.</p>
    <div class="row">
      <button class="first" disabled=${running} onClick=${start}>${sources.length ? "Examine the texts as found" : "Examine the corpus"}</button>
      ${running && html`<button onClick=${stop}>Stop</button>`}
      <p class="hint" role="status">${running && `At work: ${said || "starting"}`}</p>
    </div>
  </section>`;
}

function Found({ about, result, of, chosen, link }) {
  const finding = result.findings[chosen - 1];
  return html`
    ${of === "corpus" && html`<p class="hint">The corpus itself was examined, since its sources are gone or not known: what its rules have removed or mended is not found.</p>`}
    <p class="verdict">${result.verdict}</p>
    <div class="beside">
      <section>
        <${Findings} findings=${result.findings} chosen=${chosen} link=${link} />
      </section>
      ${finding
        ? html`<${Finding} key=${chosen} finding=${finding} rules=${about.rules} />`
        : result.findings.length > 0 && html`<p class="hint">Choose a finding to see its texts and the rule that mends it.</p>`}
    </div>
    <div class="cards">
      <${Figures} result=${result} same=${of === "corpus"} other=${result.hash !== about.hash} />
      <${Lengths} result=${result} same=${of === "corpus"} />
      <${Repeats} duplicates=${result.duplicates} />
      <${Phrases} phrases=${result.boilerplate} />
      <${Words} result=${result} />
      <${Outlook} rows=${result.outlook} />
    </div>
    <div class="row"><button onClick=${start}>Examine again</button></div>`;
}

function Findings({ findings, chosen, link }) {
  if (!findings.length) return html`<h3>Nothing is wrong</h3>`;
  return html`<table>
    <caption>What is wrong with the texts</caption>
    <thead><tr><th scope="col">texts that</th><th scope="col">texts</th><th scope="col">rule</th></tr></thead>
    <tbody>${findings.map(
      ({ what, documents, rule }, i) => html`<tr key=${i} class=${chosen === i + 1 ? "chosen" : ""}>
        <th scope="row"><a href=${link("doctor", i + 1)} aria-current=${chosen === i + 1 ? "true" : null}>${what}</a></th>
        <td>${count(documents)}</td><td class="word">${rule || "none"}</td></tr>`,
    )}</tbody>
  </table>`;
}

function Finding({ finding, rules }) {
  const { what, documents, rule, toml, quotable, examples } = finding;
  return html`<${Panel}>
    <h3>${count(documents)} texts ${what}</h3>
    <p>${!rule
      ? "They are most of the texts, so no rule that removes them helps."
      : rules.some((one) => one.known && one.toml === toml)
        ? `The rule ${rule} deals with them, and is one of this corpus's rules.`
        : `The rule ${rule} would deal with them: copy it into a rule file of your own.`}</p>
    ${toml && html`<${Toml} text=${toml} label=${`The rule ${rule}`} />`}
    ${!quotable && html`<p class="hint">These texts are not shown.</p>`}
    ${examples.length > 0 && html`<${Legend} texts=${examples} /><${Texts} texts=${examples} label=${`Texts that ${what}`} />`}
  </${Panel}>`;
}

function Figures({ result, same, other }) {
  const { found, prepared } = result;
  const rows = [
    ["texts", result.documents, prepared.documents, "One to a row or a file."],
    ["without a text", found.empty, prepared.empty, "Rows with nothing in them."],
    ["words", result.words, prepared.words, "What stands between white space; in scripts without spaces, two characters are a word."],
    ["bytes", result.bytes, prepared.bytes, "In UTF-8, where an English letter is one byte."],
    ["median words", found.quantiles["50"], prepared.quantiles["50"], "Half of the texts have at most so many."],
    ["words of 95 %", found.quantiles["95"], prepared.quantiles["95"], "All but one text in twenty have at most so many."],
  ];
  return html`<section><table>
    <caption>${same ? "How much there is" : "Before and after the default rules"}</caption>
    <thead><tr><th scope="col">measure</th>${!same && html`<th scope="col">as found</th>`}<th scope="col">as prepared</th></tr></thead>
    <tbody>${rows.map(
      ([name, before, after, means]) => html`<tr key=${name}><th scope="row">${name}<span class="hint">${means}</span></th>
        ${!same && html`<td>${count(before)}</td>`}<td>${count(after)}</td></tr>`,
    )}</tbody>
  </table>${!same && other && html`<p class="hint">These are not the texts of this corpus: it was made by other rules, or its files have changed since.</p>`}</section>`;
}

function Lengths({ result, same }) {
  const stages = same ? [["as prepared", result.prepared]] : [["as found", result.found], ["as prepared", result.prepared]];
  return html`<section>
    <h3>${stages.map(([says, stage]) => `${says}, half have at most ${count(stage.quantiles["50"])} words`).join("; ").replace(/^a/, "A")}</h3>
    ${stages.map(([says, stage]) => html`<${Histogram} key=${says} says=${says} bins=${stage.lengths} />`)}
    <details><summary>The numbers</summary>
      ${stages.map(
        ([says, { lengths }]) => html`<table key=${says}><caption>Texts of each length, ${says}</caption>
          <thead><tr><th scope="col">words, from</th><th scope="col">texts</th></tr></thead>
          <tbody>${lengths.map(([least, texts]) => html`<tr key=${least}><th scope="row">${count(least)}</th><td>${count(texts)}</td></tr>`)}</tbody></table>`,
      )}
    </details>
  </section>`;
}

function Histogram({ says, bins }) {
  const most = Math.max(1, ...bins.map(([, texts]) => texts));
  const width = 100 / Math.max(1, bins.length);
  const last = bins.at(-1)?.[0] ?? 0;
  return html`<figure>
    <svg class="histogram" role="img" aria-label=${`Words of the texts ${says}: from 0 to ${last} and more`} viewBox="0 0 100 40" preserveAspectRatio="none">
      ${bins.map(([least, texts], i) => html`<rect key=${least} x=${i * width} width=${0.85 * width} y=${40 - (40 * texts) / most} height=${(40 * texts) / most} />`)}
    </svg>
    <figcaption class="hint"><span>0</span><span>words of a text, ${says}</span><span>${count(last)} and more</span></figcaption>
  </figure>`;
}

function Repeats({ duplicates }) {
  const { exact, near, groups, clusters } = duplicates;
  return html`<section>
    <h3>${exact + near ? `${count(exact)} texts repeat an earlier one, ${count(near)} nearly do` : "No text repeats another"}</h3>
    <p class="hint">A text that stands there twice is learnt twice; where its copy tests the model, the score is too good.</p>
    ${clusters.length > 0 && html`<p>${groups === 1 ? "They are one cluster" : `The largest of ${count(groups)} clusters`} of texts that are equal or nearly so:</p>`}
    ${clusters.slice(0, FEW).map(
      ({ documents, titles, texts }, i) => html`<details key=${i}>
        <summary>${count(documents)} texts: ${texts[0].slice(0, 60)}${texts[0].length > 60 && "…"}</summary>
        ${texts.map((text, at) => html`<blockquote key=${at} dir="auto">${text}<cite>${titles[at]}</cite></blockquote>`)}
      </details>`,
    )}
  </section>`;
}

function Phrases({ phrases }) {
  return html`<section>
    <h3>${phrases.length ? `${phrases.length === 1 ? "One phrase stands" : `${phrases.length} phrases stand`} at the edges of many texts` : "No phrase stands at the edges of many texts"}</h3>
    <p class="hint">Words with which many texts begin or end are often the mark of a source, and a model will write them too.</p>
    ${phrases.length > 0 && html`<table>
      <caption class="unseen">Phrases at the beginning or the end of many texts</caption>
      <thead><tr><th scope="col">phrase</th><th scope="col">texts</th></tr></thead>
      <tbody>${phrases.slice(0, FEW).map(({ text, documents }) => html`<tr key=${text}><th scope="row" dir="auto">${text}</th><td>${count(documents)}</td></tr>`)}</tbody>
    </table>`}
  </section>`;
}

const percent = (share) => `${(100 * share).toFixed(1)} %`;

function Words({ result }) {
  const { vocabulary, leakage } = result;
  const languages = Object.entries(result.languages).slice(0, FEW);
  const rows = [
    ["different words", count(vocabulary.different), `Among ${count(vocabulary.words)} to learn from; ${count(vocabulary.once)} of them occur once.`],
    ["unknown words", percent(vocabulary.unknown_rate), "Of the validation texts' words, those that training texts have less than twice: a model of whole words cannot write them."],
    ["leakage", percent(leakage), "Of the validation texts' sequences of 13 words, those that training texts have too: where it is high, scores are too good."],
    ["languages", languages.map(([code, texts]) => `${code} ${count(texts)}`).join(", ") || "none", "Of each text, by its letters; ? is too short to tell."],
  ];
  return html`<section><table>
    <caption>The words</caption>
    <tbody>${rows.map(([name, figure, means]) => html`<tr key=${name}><th scope="row">${name}<span class="hint">${means}</span></th><td>${figure}</td></tr>`)}</tbody>
  </table></section>`;
}

function Outlook({ rows }) {
  if (!rows.length) return html`<section><h3>Nothing can be expected yet</h3><p class="hint">No measured training had as little text as this.</p></section>`;
  const most = Math.max(...rows.map((row) => row.bits_per_byte));
  return html`<section><table>
    <caption>What to expect: ${rows[0].preset} reaches about ${rows[0].bits_per_byte.toFixed(2)} bits per byte</caption>
    <thead><tr><th scope="col">preset</th><th scope="col">bits per byte</th><th scope="col">minutes</th></tr></thead>
    <tbody>${rows.map(
      (row) => html`<tr key=${row.preset}><th scope="row">${row.preset}<svg class="bar" aria-hidden="true"><rect class="left" width=${`${(100 * row.bits_per_byte) / most}%`} height="8" /></svg></th>
        <td>${row.bits_per_byte.toFixed(2)}</td><td>${row.minutes < 0.2 ? "0.1" : row.minutes}</td></tr>`,
    )}</tbody></table>
    <p class="hint">The fewer bits a model needs for a byte of a new text, the better it has learnt. As measured with as much text on anime synopses, on two cores; other texts differ.</p>
  </section>`;
}
