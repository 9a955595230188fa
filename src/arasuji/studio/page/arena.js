// The Arena room: two texts, one beginning, no names. They are said after the vote, which is final.

import { colourOf, giveColours } from "./colours.js";
import { kept } from "./kept.js";
import { bindKeys, KeyButton } from "./keys.js";
import { get, post } from "./server.js";
import { batch, computed, html, signal, useEffect, useRef } from "./vendor.js";

const QUESTIONS = { read: "Which would you rather read?", person: "Which did a person write?" };
const CHOICES = { left: "Text 1", right: "Text 2", tie: "Cannot tell", poor: "Both poor", void: "I know this one" };
const KEYS = { left: "1", right: "2", tie: "0", poor: "9" };
const PERSON = "a person";

const question = kept("arena.question", "read");
const pairs = kept("arena.pairs", {}); // by question: {pair, prompt, left, right}, and after the vote {choice, names}
const absent = kept("arena.absent", []); // runs that do not take part
const table = signal(null);
const problem = signal("");
const said = signal("");
const busy = signal(false);
const pair = computed(() => pairs.value[question.value]);
const over = computed(() => Boolean(!pair.value || pair.value.names || problem.value)); // so another pair may be asked for
const taking = computed(() => (table.value?.runs ?? []).filter((name) => !absent.value.includes(name)));
let ahead = null; // the next pair, which is written while this one is read: so waiting says nothing of who writes
let arrived = false; // whether what has just come is to be focused
let retry = 0;

export const title = "Arena";

export function enter() {
  bindKeys([
    ...Object.entries(KEYS).map(([choice, key]) => [key, CHOICES[choice].toLowerCase(), () => vote(choice)]),
    ["n", "the next pair, as Enter after a vote", () => over.value && next()],
  ]);
  refresh();
}

export function leave() {
  clearTimeout(retry);
}

async function refresh() {
  try {
    const found = await get("/api/arena");
    giveColours(found.runs);
    table.value = found;
  } catch (error) {
    problem.value = error.message;
  }
}

function body() {
  const all = taking.value.length === table.value.runs.length;
  return { question: question.value, ...(all ? {} : { runs: taking.value }) };
}

async function next() {
  if (busy.value || !taking.value.length) return;
  const asked = body();
  batch(() => {
    busy.value = true;
    problem.value = "";
    said.value = "Two texts are being written.";
  });
  try {
    const came = (await prepared(asked)) ?? (await post("/api/arena/pairs", asked));
    arrived = true;
    pairs.value = { ...pairs.value, [asked.question]: came };
    prepare(asked);
    said.value = "";
  } catch (error) {
    problem.value = error.message;
    if (error.retryAfter) {
      problem.value += `; trying again in ${error.retryAfter} s`;
      retry = setTimeout(next, 1000 * error.retryAfter);
    }
  } finally {
    busy.value = false;
  }
}

function prepare(asked) {
  ahead = { asked: JSON.stringify(asked), pair: post("/api/arena/pairs", asked).catch(() => null) };
}

function prepared(asked) {
  const found = ahead?.asked === JSON.stringify(asked) ? ahead.pair : null;
  ahead = null;
  return found;
}

async function vote(choice) {
  const own = pair.value;
  const asked = question.value;
  if (busy.value || !own || own.names || (choice === "poor" && asked === "person")) return;
  busy.value = true;
  try {
    const names = await post("/api/arena/votes", { pair: own.pair, choice });
    const voted = { ...own, choice, names };
    arrived = true;
    batch(() => {
      pairs.value = { ...pairs.value, [asked]: voted };
      problem.value = "";
      said.value = outcome(asked, voted);
    });
    refresh();
  } catch (error) {
    problem.value = error.message;
  } finally {
    busy.value = false;
  }
}

function outcome(asked, { choice, names }) {
  const both = `Text 1 is by ${names.left}, text 2 by ${names.right}.`;
  if (choice === "void") return `This pair does not count. ${both}`;
  if (!(choice in names)) return both;
  if (asked === "read") return `You chose ${CHOICES[choice].toLowerCase()}. ${both}`;
  return names[choice] === PERSON ? `You have found the person's text. ${both}` : `You took a model's text for the person's. ${both}`;
}

export function Room() {
  const wrong = problem.value && html`<p class="problem" role="alert">${problem.value}</p>`;
  if (!table.value) return wrong || html`<p>Opening the arena…</p>`;
  if (!table.value.runs.length) return html`<${Welcome} />`;
  return html`
    <${Asked} />
    <p class="unseen" role="status" aria-live="polite">${said.value}</p>
    ${wrong}
    ${pair.value ? html`<${Pair} key=${pair.value.pair} own=${pair.value} />` : html`<${Start} />`}
    <${Standings} />`;
}

function Welcome() {
  return html`<section>
    <h2>Nobody can take part yet</h2>
    <p>The arena needs two models, or one model and its corpus. <a href="#train">The Train room</a> trains one.</p>
    <${Problems} />
  </section>`;
}

function Problems() {
  return Object.values(table.value.problems).map((reason) => html`<p class="problem">${reason}</p>`);
}

function Asked() {
  const ask = (name) => {
    question.value = name;
    problem.value = said.value = "";
  };
  const take = (name, takes) => (absent.value = takes ? absent.value.filter((one) => one !== name) : [...absent.value, name]);
  return html`<form onSubmit=${(event) => event.preventDefault()}>
    <fieldset>
      <legend>What you are asked</legend>
      ${Object.entries(QUESTIONS).map(
        ([name, text]) => html`<label class="check" key=${name}>
          <input type="radio" name="question" checked=${question.value === name} onChange=${() => ask(name)} />${text}</label>`,
      )}
    </fieldset>
    <details>
      <summary>Who takes part: ${taking.value.length} of ${table.value.runs.length} models, and people</summary>
      <fieldset>
        <legend>Models</legend>
        ${table.value.runs.map(
          (name) => html`<label class="check" key=${name}>
            <input type="checkbox" checked=${taking.value.includes(name)} onChange=${(event) => take(name, event.target.checked)} /><${Name} of=${name} /></label>`,
        )}
      </fieldset>
      <${Problems} />
    </details>
  </form>`;
}

function Start() {
  return html`<section>
    <p>Two texts begin with the same words, those of a text that was kept out of the training. (A pretrained model may have met it on the web.) ${question.value === "person" ? "One goes on as the person wrote it, the other one by a model." : "One goes on by a model, the other one by another model or as the person wrote it."} Who wrote which is said after your vote.</p>
    <div class="row"><${Next} first="First pair" /></div>
  </section>`;
}

function Next({ first, focused }) {
  return html`<button class="first" type="button" ref=${focused} disabled=${!taking.value.length} aria-disabled=${busy.value} onClick=${next}>
    ${busy.value ? "Two texts are being written…" : first}</button>
    ${!taking.value.length && html`<p class="hint">Nobody takes part: tick a model above.</p>`}`;
}

function Pair({ own }) {
  const heading = useRef(null);
  const button = useRef(null);
  useEffect(() => {
    if (arrived && own.names) button.current.focus();
    else if (arrived) {
      heading.current.focus({ preventScroll: true });
      heading.current.parentElement.scrollIntoView({ block: "nearest" });
    }
    arrived = false;
  }, [own.names]);
  return html`<section class="pair" aria-labelledby="asked">
    <h2 id="asked" tabindex="-1" ref=${heading}>${QUESTIONS[question.value]}</h2>
    <div class="texts">
      ${["left", "right"].map(
        (side) => html`<article key=${side} aria-label=${CHOICES[side]} style=${own.names && { borderColor: colour(own.names[side]) }}>
          <h3>${CHOICES[side]}${own.names && html`, by <${Name} of=${own.names[side]} />`}${own.choice === side && ", your choice"}</h3>
          <p class="text"><span class="prompt">${own.prompt}</span> ${own[side]}…</p>
        </article>`,
      )}
    </div>
    ${own.names ? html`<p>${outcome(question.value, own)}</p>` : html`<${Choices} />`}
    ${over.value && html`<div class="row"><${Next} first="Next pair" focused=${button} /></div>`}
  </section>`;
}

function Choices() {
  const possible = Object.keys(CHOICES).filter((choice) => choice !== "poor" || question.value === "read");
  return html`<div class="row actions" role="group" aria-labelledby="asked">
    ${possible.map(
      (choice) => html`<button key=${choice} type="button" aria-disabled=${busy.value} aria-keyshortcuts=${KEYS[choice]} onClick=${() => vote(choice)}>${CHOICES[choice]}</button>`,
    )}
    <${KeyButton} />
  </div>`;
}

const colour = (name) => (name === PERSON ? "var(--ink)" : colourOf(name));

function Name({ of, first }) {
  return html`<b style=${{ color: colour(of) }}>${first && of === PERSON ? "A person" : of}</b>`;
}

function Standings() {
  return html`<section aria-labelledby="standings">
    <h2 id="standings">What all votes here say</h2>
    ${question.value === "read" ? html`<${Preferred} />` : html`<${Taken} />`}
    <details>
      <summary>How this is measured</summary>
      <p>Both texts have the same beginning, the first words of a held-out text, and are cut to the same number of words. A model is told nothing else, and writes as its run recommends, without copies of training texts. Texts that are too short, or go on within the last word of the beginning, are not shown, be they real or written. Which one is text 1 is drawn by the server, and no beginning comes again before all others have come.</p>
      <p>What stands in brackets is the 95 % interval, in which votes on related beginnings are taken together. Votes without a choice are left out where two are compared; where all are, they are ties, and for the other question they count half. Votes on a model count as long as its run has that model.</p>
      <p>The figure of the judge is how often it finds out which of two texts is a model's (AUROC), by the latest report on the model's corpus. It has read texts that all models wrote with the same settings.</p>
    </details>
  </section>`;
}

const tens = (share) => Number((10 * share).toFixed(1));
const percent = (share) => Math.round(100 * share);
const counted = (count, one, more) => `${count} ${count === 1 ? one : more}`;

function Preferred() {
  const { rows, strengths } = table.value.read;
  if (!rows.length) return html`<p>Nothing yet: no pair has been voted on.</p>`;
  return html`
    <ul class="rows">${rows.map((row) => html`<li key=${`${row.first} ${row.second}`}><${Row} row=${row} /></li>`)}</ul>
    ${strengths.length > 0 &&
    html`<h3>All of them together</h3>
      <p class="hint">How often each would be chosen over one of average strength, by the model of Davidson (1970).</p>
      <ul class="rows">${strengths.map(
        (one) => html`<li key=${one.name}><span><${Name} of=${one.name} first /> in ${tens(one.share)} of 10 (${tens(one.low)} to ${tens(one.high)})</span><${Interval} of=${one} /></li>`,
      )}</ul>`}`;
}

function Row({ row }) {
  const counts = [counted(row.votes, "vote", "votes"), row.tie && counted(row.tie, "tie", "ties"), row.poor && `${row.poor} both poor`];
  const votes = counts.filter(Boolean).join(", ");
  if (row.share === null)
    return html`<span><${Name} of=${row.first} first /> and <${Name} of=${row.second} />: ${row.wins.join(" : ")} so far, ${votes}. Not enough to say: ${table.value.enough} with a choice are needed, which come sooner with fewer contestants.</span>`;
  return html`<span><${Name} of=${row.first} first /> was chosen over <${Name} of=${row.second} /> in ${tens(row.share)} of 10
    (${tens(row.low)} to ${tens(row.high)}), ${votes}</span><${Interval} of=${row} />`;
}

function Taken() {
  const rows = table.value.person;
  if (!rows.length) return html`<p>Nothing yet: no pair has been voted on.</p>`;
  return html`<p class="hint">At 50 % nobody can tell a model's texts from a person's. A vote of somebody who cannot tell counts half.</p>
    <ul class="rows">${rows.map((row) => html`<li key=${row.name}><${TakenRow} row=${row} /></li>`)}</ul>`;
}

function TakenRow({ row }) {
  const votes = [counted(row.votes, "vote", "votes"), row.tie && `${row.tie} could not tell`].filter(Boolean).join(", ");
  if (row.share === null)
    return html`<span><${Name} of=${row.name} />: not enough to say, ${votes} (${table.value.enough} are needed). ${judged(row)}</span>`;
  return html`<span><${Name} of=${row.name} /> was taken for a person in ${percent(row.share)} % (${percent(row.low)} to ${percent(row.high)}), ${votes}. ${judged(row)}</span><${Interval} of=${row} />`;
}

const VERDICTS = {
  less: "you see less than it does",
  agree: "the two agree, as far as these votes can say",
  more: "you see more than it does",
};

function judged({ judge, ...row }) {
  if (!judge) return html`What a judge says of it stands in a report, which <a href="#compare">the Compare room</a> makes.`;
  const its = `A judge that reads tells them apart in ${percent(judge.share)} % (${percent(judge.low)} to ${percent(judge.high)})`;
  if (!judge.verdict) return `${its}; there are not enough votes to say whether you do.`;
  return `${its}, you in ${percent(1 - row.share)} % (${percent(1 - row.high)} to ${percent(1 - row.low)}): ${VERDICTS[judge.verdict]}.`;
}

// A share with its interval, from none to all, the half marked; the numbers stand beside it.
function Interval({ of }) {
  const at = (share) => 10 + 180 * share;
  return html`<svg viewBox="0 0 200 20" width="200" height="20" aria-hidden="true">
    <path class="scale" d="M10 10H190M100 4V16" /><path class="range" d=${`M${at(of.low)} 10H${at(of.high)}`} /><circle cx=${at(of.share)} cy="10" r="4" />
  </svg>`;
}
