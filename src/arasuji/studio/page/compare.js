// The Compare room: models of one corpus are chosen and compared, and the reports of all comparisons.

import { kept } from "./kept.js";
import { polled } from "./poll.js";
import { get, post } from "./server.js";
import { batch, computed, html, signal } from "./vendor.js";

const SECONDS = 2; // between two looks at a comparison

const trainings = signal(null);
const bases = signal([]);
const reports = signal([]);
const failed = signal("");
const problem = signal("");
const busy = signal(false);
const chosen = kept("compare.runs", []);
const chosenBases = kept("compare.bases", []);
const thorough = kept("compare.thorough", false);

const byName = computed(() => Object.fromEntries((trainings.value ?? []).map((run) => [run.id, run])));
const comparable = computed(() => (trainings.value ?? []).filter((run) => !reasonOf(run)));
const runs = computed(() => chosen.value.filter((name) => byName.value[name] && !reasonOf(byName.value[name])));
const corpus = computed(() => byName.value[runs.value[0]]?.corpus); // that of the run that was chosen first
const fitting = computed(() => runs.value.filter((name) => byName.value[name].corpus.hash === corpus.value.hash));
const fittingBases = computed(() => chosenBases.value.filter((name) => bases.value.some((base) => base.id === name)));

export const title = "Compare";

export function enter() {
  get("/api/trainings").then((found) => (trainings.value = found), said);
  get("/api/bases").then((found) => (bases.value = found), said);
  looking.start();
}

export function leave() {
  looking.stop();
}

const looking = polled(look, SECONDS);
const said = (error) => (failed.value = error.message);

async function look() {
  try {
    const found = await get("/api/reports");
    batch(() => {
      reports.value = found;
      failed.value = "";
    });
  } catch (error) {
    said(error);
  }
  return failed.value || reports.value.some((report) => report.state === "running");
}

// Why a run cannot be compared with any other.
function reasonOf(run) {
  if (run.state === "damaged") return "it is damaged";
  if (!run.best) return "it has no validated model yet";
  if (run.predicts === "title") return "it predicts titles, and no texts";
  return "";
}

function reasonBeside(run) {
  const own = reasonOf(run);
  if (own || !corpus.value || run.corpus.hash === corpus.value.hash) return own;
  return `it was trained on another corpus (${run.corpus.name}) than ${runs.value[0]}`;
}

async function ask(work) {
  busy.value = true;
  problem.value = "";
  try {
    await work();
  } catch (error) {
    problem.value = error.message;
  }
  busy.value = false;
  looking.now();
}

const compare = (event) => {
  event.preventDefault();
  ask(() => post("/api/reports", { runs: fitting.value, bases: fittingBases.value, thorough: thorough.value }));
};
const cancel = (report) => ask(() => post(`/api/jobs/${report.job}/stop`, {}));

export function Room() {
  if (!trainings.value) return failed.value ? html`<${Failed} />` : html`<p>Looking for runs…</p>`;
  return html`<${Failed} />
    ${comparable.value.length + bases.value.length < 2 || !comparable.value.length ? html`<${Empty} />` : html`<${Form} />`}
    <${Reports} />`;
}

function Failed() {
  return failed.value && html`<p class="problem" role="alert">${failed.value}. Is the server still running? A comparison goes on without it.</p>`;
}

function Empty() {
  const others = trainings.value.filter(reasonOf);
  return html`<section>
    <h2>Nothing to compare yet</h2>
    <p>${comparable.value.length ? "Train a second run." : "Train two runs."} <a href="#train">The Train room</a> does that; both have to learn from one corpus.</p>
    ${others.map((run) => html`<p key=${run.id} class="hint">${run.id}: ${reasonOf(run)}.</p>`)}
  </section>`;
}

function Form() {
  const going = reports.value.some((report) => report.state === "running");
  const enough = fitting.value.length > 0 && fitting.value.length + fittingBases.value.length > 1;
  return html`<form onSubmit=${compare}>
    <h2>Compare models</h2>
    <p>All of them score the same texts that none has learnt from, and continue the same beginnings.</p>
    <fieldset>
      <legend>Runs</legend>
      ${trainings.value.map((run) => html`<${Choice} key=${run.id} id=${run.id} list=${chosen} reason=${reasonBeside(run)}
        about=${run.best ? `${run.preset} on ${run.corpus.name}, ${run.best.bits_per_byte.toFixed(3)} bits per byte` : run.preset} />`)}
    </fieldset>
    ${bases.value.length > 0 &&
    html`<fieldset>
      <legend>Pretrained models as they are</legend>
      ${bases.value.map((base) => html`<${Choice} key=${base.id} id=${base.id} list=${chosenBases} about=${`${Math.round(base.parameters / 1e6)} million parameters`} />`)}
    </fieldset>`}
    <fieldset>
      <legend>How thoroughly</legend>
      <${How} value=${false} name="Quick" about="60 texts are scored, 40 beginnings continued once: a first look, with wide intervals." />
      <${How} value=${true} name="Thorough" about="250 texts are scored, 200 beginnings continued three times, as arasuji compare does." />
    </fieldset>
    <div class="row">
      <button class="first" disabled=${busy.value || going || !enough}>Compare</button>
      <p class="hint">${going ? "A comparison is going on." : enough ? `${[...fitting.value, ...fittingBases.value].join(", ")}` : "Choose two models or more, one of them a run."}</p>
    </div>
    ${problem.value && html`<p class="problem" role="alert">${problem.value}</p>`}
  </form>`;
}

function Choice({ id, list, about, reason = "" }) {
  const name = `choice-${list === chosen ? "run" : "base"}-${id}`;
  const tick = (event) => {
    const rest = list.value.filter((one) => one !== id);
    list.value = event.target.checked ? [...rest, id] : rest;
  };
  return html`<div class=${reason ? "choice off" : "choice"}>
    <input type="checkbox" id=${name} checked=${list.value.includes(id) && !reason} disabled=${Boolean(reason)} aria-describedby=${`${name}-about`} onChange=${tick} />
    <label for=${name}>${id}</label>
    <span class="about" id=${`${name}-about`}>${reason || about}</span>
  </div>`;
}

function How({ value, name, about }) {
  return html`<div class="choice">
    <input type="radio" name="thorough" id=${`how-${name}`} checked=${thorough.value === value} aria-describedby=${`how-${name}-about`} onChange=${() => (thorough.value = value)} />
    <label for=${`how-${name}`}>${name}</label>
    <span class="about" id=${`how-${name}-about`}>${about}</span>
  </div>`;
}

function Reports() {
  if (!reports.value.length) return null;
  return html`<section class="reports">
    <h2>Comparisons</h2>
    ${reports.value.map((report) => html`<${Report} key=${report.id} report=${report} />`)}
  </section>`;
}

function Report({ report }) {
  const when = new Date(1000 * report.when).toLocaleString();
  return html`<article>
    <h3>${report.runs.length ? report.runs.join(", ") : report.id}</h3>
    ${report.state === "running" && html`<${Stages} report=${report} />`}
    ${report.state === "ended" && html`<p>No report was made: ${report.problem.replace(/\.$/, "")}.</p>`}
    ${report.state === "ready" && report.problem && html`<p class="problem">${report.problem}</p>`}
    ${report.state === "ready" && !report.problem && html`<p>${report.verdict.join(" ")}</p>`}
    <p class="hint">${when}${report.state === "ready" && html`, <a href=${`/api/reports/${report.id}`} target="_blank" rel="noopener">open the report</a> in a new tab`}</p>
  </article>`;
}

function Stages({ report }) {
  const stages = report.stages;
  return html`<div>
    <p role="status">${stages.length ? `Now: ${stages[stages.length - 1]}.` : "It begins."} The comparison goes on without this page.</p>
    ${stages.length > 1 && html`<p class="hint">Done: ${stages.slice(0, -1).join(", ")}</p>`}
    <button disabled=${busy.value || report.stopping} onClick=${() => cancel(report)}>${report.stopping ? "Cancelling…" : "Cancel"}</button>
  </div>`;
}
