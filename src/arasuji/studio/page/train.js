// The Train room: what a training would take, trainings that are started, stopped and resumed, and how they go.

import { Chart } from "./chart.js";
import { colourOf, giveColours } from "./colours.js";
import { kept } from "./kept.js";
import { polled } from "./poll.js";
import { get, post } from "./server.js";
import { batch, computed, html, signal } from "./vendor.js";

const SECONDS = 2; // between two looks at what is being trained
const FIELDS = ["name", "preset", "corpus", "minutes", "settings"];
const ALONG = {
  steps: { name: "steps", at: 0, shown: (value) => value.toLocaleString("en") },
  tokens: { name: "million tokens read", at: 1, shown: (value, exact) => (value / 1e6).toFixed(exact ? 2 : 1) },
  minutes: { name: "minutes of training", at: 2, shown: (value, exact) => (value / 60).toFixed(exact ? 1 : 0) },
};

const presets = signal([]);
const corpora = signal(null);
const trainings = signal(null);
const estimate = signal(null);
const failed = signal("");
const problems = signal({}); // sentences, by the field that they stand beside
const busy = signal(false);
const opened = signal(""); // the run that the address names
const metrics = signal({}); // by run
const samples = signal({}); // by run
const form = kept("train.form", { preset: "lstm-small", corpus: "", minutes: "10", name: "", settings: "" });
const ticked = kept("train.ticked", []);
const along = kept("train.along", "steps");
const options = kept("train.options", false); // whether they are shown
const sampleAt = kept("train.sample", {}); // the step that is looked at, by run; without one, the last

const byName = computed(() => Object.fromEntries((trainings.value ?? []).map((run) => [run.id, run])));
const charted = computed(() => [...new Set([opened.value, ...ticked.value])].filter((name) => byName.value[name]?.preset));

export const title = "Train";

export function enter(rest) {
  opened.value = rest;
  problems.value = {};
  get("/api/presets").then((found) => (presets.value = found), said);
  get("/api/corpora").then((found) => (corpora.value = found), said);
  looking.start();
}

export function leave() {
  looking.stop();
}

const looking = polled(look, SECONDS);
const said = (error) => (failed.value = error.message);

async function look() {
  try {
    const [found, planned] = await Promise.all([get("/api/trainings"), get("/api/estimate")]);
    batch(() => {
      trainings.value = found;
      estimate.value = planned;
      failed.value = "";
      giveColours(charted.value);
    });
    await Promise.all(charted.value.map(lookAt));
    return planned.running || found.some((run) => run.state === "training");
  } catch (error) {
    said(error);
    return true; // the server may come back
  }
}

// The whole run is asked for whenever it has come further.
async function lookAt(name) {
  const run = byName.value[name];
  const known = metrics.value[name];
  if (known && known.step === run.step && known.state === run.state) return;
  const path = `/api/runs/${encodeURIComponent(name)}`;
  const [series, texts] = await Promise.all([get(`${path}/metrics?points=500`), get(`${path}/samples`)]);
  batch(() => {
    metrics.value = { ...metrics.value, [name]: { ...series, step: run.step, state: run.state } };
    samples.value = { ...samples.value, [name]: texts };
  });
}

// A refusal that is about a field of the form begins with its name.
async function ask(work) {
  busy.value = true;
  problems.value = {};
  try {
    return await work();
  } catch (error) {
    const [, field, sentence] = error.message.match(/^(\w+)[.\d]*: (.*)$/) ?? [];
    problems.value = FIELDS.includes(field) ? { [field]: sentence } : { all: error.message };
    if (field === "settings") options.value = true;
    return null;
  } finally {
    busy.value = false;
    looking.now();
  }
}

const chosenCorpus = () => form.value.corpus || corpora.value?.find((one) => !one.problem)?.id || "";
const chosenName = () => form.value.name || freeName(form.value.preset);
const asked = () => ({
  preset: form.value.preset,
  corpus: chosenCorpus(),
  minutes: Number(form.value.minutes),
  settings: form.value.settings.split("\n").map((line) => line.trim()).filter(Boolean),
});

function freeName(preset) {
  let name = preset;
  for (let i = 2; name in byName.value; i += 1) name = `${preset}-${i}`;
  return name;
}

async function train(event) {
  event.preventDefault();
  const name = chosenName();
  const found = await ask(async () => {
    await post("/api/runs", { name, ...asked() });
    return get("/api/trainings");
  });
  if (!found) return;
  trainings.value = found;
  form.value = { ...form.value, name: "" };
  location.hash = `#train/${encodeURIComponent(name)}`;
}

const measure = () => ask(() => post("/api/estimate", asked()));
const tell = (name, what) => ask(() => post(`/api/runs/${encodeURIComponent(name)}/${what}`, {}));

export function Room() {
  if (!trainings.value) return failed.value ? html`<${Failed} />` : html`<p>Looking for runs…</p>`;
  const run = byName.value[opened.value];
  if (opened.value && run) return html`<${Failed} /><${Run} run=${run} />`;
  return html`<${Failed} />
    ${opened.value && html`<p class="problem" role="alert">There is no run ${opened.value}. <a href="#train">All trainings</a></p>`}
    <${Form} /><${Runs} />`;
}

function Failed() {
  return failed.value && html`<p class="problem" role="alert">${failed.value}. Is the server still running? A training goes on without it.</p>`;
}

function Form() {
  if (!corpora.value) return html`<p>Looking for corpora…</p>`;
  if (!corpora.value.length) {
    return html`<section><h2>A new training</h2>
      <p>No corpus. <code>arasuji prepare FILE --out corpora/NAME</code> makes one.</p></section>`;
  }
  const preset = presets.value.find((one) => one.id === form.value.preset);
  const families = [...new Set(presets.value.map((one) => one.family))];
  const others = trainings.value.filter((run) => run.state === "training");
  return html`<form onSubmit=${train} noValidate>
    <h2>A new training</h2>
    <div class="fields">
      <${Field} name="preset" label="Preset" hint=${preset ? `${preset.description}.` : ""}>
        <select id="preset" value=${form.value.preset} onChange=${change("preset")} ...${about("preset")}>
          ${families.map((family) => html`<optgroup key=${family} label=${family}>
            ${presets.value.filter((one) => one.family === family).map((one) => html`<option key=${one.id} value=${one.id}>${one.id}</option>`)}
          </optgroup>`)}
        </select>
      </${Field}>
      <${Field} name="corpus" label="Corpus">
        <select id="corpus" value=${chosenCorpus()} onChange=${change("corpus")} ...${about("corpus")}>
          ${corpora.value.map((one) => html`<option key=${one.id} value=${one.id} disabled=${Boolean(one.problem)}>${one.id}${one.problem ? " (damaged)" : ""}</option>`)}
        </select>
      </${Field}>
      <${Field} name="minutes" label="Minutes" hint="It is planned so that it ends within them.">
        <input id="minutes" type="number" min="0.1" step="any" value=${form.value.minutes} onInput=${change("minutes")} ...${about("minutes")} />
      </${Field}>
      <${Field} name="name" label="Name of the run">
        <input id="name" type="text" placeholder=${freeName(form.value.preset)} value=${form.value.name} onInput=${change("name")} ...${about("name")} />
      </${Field}>
    </div>
    <details open=${options.value} onToggle=${(event) => (options.value = event.currentTarget.open)}>
      <summary>Options${form.value.settings.trim() ? " (changed)" : ""}</summary>
      <${Field} name="settings" label="One KEY=VALUE a line, as --set takes it" hint=${html`<code>arasuji presets ${form.value.preset}</code> lists them.`}>
        <textarea id="settings" rows="3" spellcheck="false" value=${form.value.settings} onInput=${change("settings")} ...${about("settings")} />
      </${Field}>
    </details>
    <div class="row">
      <button class="first" disabled=${busy.value}>Train</button>
      <button type="button" disabled=${busy.value || estimate.value?.running} onClick=${measure}>Estimate</button>
      <p class="estimate" role="status">${estimated()}</p>
    </div>
    ${problems.value.all && html`<p class="problem" role="alert">${problems.value.all}</p>`}
    ${others.length > 0 && html`<p class="hint">${names(others)} ${others.length > 1 ? "are" : "is"} being trained now; two at once take each other's time.</p>`}
  </form>`;
}

const change = (field) => (event) => {
  form.value = { ...form.value, [field]: event.target.value };
  const { [field]: mended, ...rest } = problems.value;
  problems.value = rest;
};
const about = (field) => ({ "aria-describedby": `${field}-about`, "aria-invalid": field in problems.value ? "true" : null });

function Field({ name, label, hint = "", children }) {
  const wrong = problems.value[name];
  return html`<div>
    <label for=${name}>${label}</label>
    ${children}
    <p id=${`${name}-about`} class=${wrong ? "problem" : "hint"} role=${wrong ? "alert" : null}>${wrong ?? hint}</p>
  </div>`;
}

// What was estimated, where it is for what stands in the form.
function estimated() {
  const found = estimate.value;
  if (found?.running) return "Measuring a few steps…";
  const now = asked();
  if (!found?.asked || ["preset", "corpus", "minutes"].some((field) => found.asked[field] !== now[field])) return "";
  if (found.asked.settings.join() !== now.settings.join()) return "";
  if (found.problem) return `It cannot be trained: ${found.problem}`;
  if (!found.plan) return "";
  const { seconds, memory, free, epochs } = found.plan;
  const more = memory > free ? ", which is more than there is" : "";
  return `${between(...seconds)}, ${gigabytes(memory)} of ${gigabytes(free)} GB free${more}; the texts are read ${epochs.toFixed(1)} times`;
}

function Runs() {
  if (!trainings.value.length) return html`<section><h2>Trainings</h2><p>No run yet.</p></section>`;
  return html`<section>
    <h2>Trainings</h2>
    <${List} />
    ${charted.value.length > 0 ? html`<${Charts} />` : html`<p class="hint">Tick runs to see them in one chart.</p>`}
  </section>`;
}

function List() {
  return html`<ul class="runs">${trainings.value.map((run) => html`<${Line} key=${run.id} run=${run} />`)}</ul>`;
}

function Line({ run }) {
  const shown = charted.value.includes(run.id);
  const tick = (event) => {
    const rest = ticked.value.filter((name) => name !== run.id);
    ticked.value = event.target.checked ? [...rest, run.id] : rest;
    looking.now();
  };
  return html`<li>
    <input type="checkbox" id=${`tick-${run.id}`} aria-label=${`Show ${run.id} in the chart`} checked=${shown} disabled=${!run.corpus || run.id === opened.value} onChange=${tick} />
    <span class="swatch" style=${{ "--own": shown ? colourOf(run.id) : "transparent" }}></span>
    <a href=${`#train/${encodeURIComponent(run.id)}`} aria-current=${run.id === opened.value ? "true" : null}>${run.id}</a>
    <span class="faint">${[run.preset, run.corpus?.name].filter(Boolean).join(" on ")}</span>
    <span class="state">${brief(run)}</span>
    <span class="number">${run.best ? `${run.best.bits_per_byte.toFixed(3)} bits per byte` : ""}</span>
  </li>`;
}

function Run({ run }) {
  return html`<section>
    <p><a href="#train">All trainings</a></p>
    <h2>${run.id}</h2>
    <p class="faint">${[run.preset, run.corpus?.name].filter(Boolean).join(" on ")}${run.settings?.length ? `, with ${run.settings.join(", ")}` : ""}</p>
    <${Progress} run=${run} />
  </section>
  <${Charts} />
  <${Samples} run=${run} />
  <section><h3>Compare with</h3><${List} /></section>`;
}

function Progress({ run }) {
  const training = run.state === "training";
  return html`<div class="progress">
    ${training && html`<progress max=${run.steps ?? 1} value=${run.steps ? run.step : null} aria-label="Steps of the plan" />`}
    <p>${sentence(run)}</p>
    <p class="unseen" role="status">${`${run.id}: ${run.stopping ? "stopping" : run.state}`}</p>
    <div class="row">
      ${run.own && html`<button disabled=${busy.value || run.stopping} onClick=${() => tell(run.id, "stop")}>${run.stopping ? "Stopping…" : "Stop"}</button>`}
      ${canResume(run) && html`<button disabled=${busy.value} onClick=${() => tell(run.id, "resume")}>Resume</button>`}
    </div>
    ${problems.value.all && html`<p class="problem" role="alert">${problems.value.all}</p>`}
  </div>`;
}

function Charts() {
  const x = ALONG[along.value];
  const read = charted.value.filter((name) => metrics.value[name]);
  const of = (name, kind, at) => metrics.value[name][kind].filter((row) => row[at] !== null && row[x.at] !== null).map((row) => [row[x.at], row[at]]);
  const validation = read.map((name) => {
    const points = of(name, "validation", 3);
    const best = points.reduce((least, one) => (least === null || one[1] < least[1] ? one : least), null);
    return { name, colour: colourOf(name), points, mark: best };
  });
  const loss = read.map((name) => ({ name, colour: colourOf(name), points: of(name, "loss", 4), faint: of(name, "loss", 3) }));
  return html`<section class="charts">
    <div><label for="along">Along</label>
      <select id="along" value=${along.value} onChange=${(event) => (along.value = event.target.value)}>
        ${Object.keys(ALONG).map((name) => html`<option key=${name} value=${name}>${name}</option>`)}
      </select></div>
    <div class="pair">
      <${Chart} title=${found(validation)} note="Bits per byte of held-out texts: less is better. A ring marks the best." lines=${validation} x=${x} y=${{ name: "bits per byte", shown: (value, exact) => value.toFixed(exact ? 3 : 2) }} />
      <${Chart} title="Loss on the texts that are learnt, smoothed" note="Bits per token. Models with other tokenizers cannot be compared by them." lines=${loss} x=${x} y=${{ name: "bits per token", shown: (value, exact) => value.toFixed(exact ? 2 : 1) }} />
    </div>
  </section>`;
}

// The finding of the chart.
function found(lines) {
  const marked = lines.filter((line) => line.mark);
  if (!marked.length) return "Held-out texts: no validation yet";
  if (new Set(marked.map((line) => byName.value[line.name].corpus.hash)).size > 1) return "Runs of different corpora, whose bits cannot be compared";
  const best = marked.reduce((least, one) => (one.mark[1] < least.mark[1] ? one : least));
  const bits = best.mark[1].toFixed(3);
  return marked.length > 1 ? `${best.name} needs the fewest bits per byte: ${bits}` : `The best so far: ${bits} bits per byte`;
}

function Samples({ run }) {
  const texts = samples.value[run.id] ?? [];
  const steps = [...new Set(texts.map((one) => one.step))];
  if (!steps.length) return html`<section><h3>What it writes</h3><p class="hint">It writes a few texts at each validation.</p></section>`;
  const chosen = steps.includes(sampleAt.value[run.id]) ? sampleAt.value[run.id] : steps[steps.length - 1];
  const at = steps.indexOf(chosen);
  // The last one is not kept, so that it moves on with the training.
  const choose = (event) => {
    const { [run.id]: before, ...rest } = sampleAt.value;
    const i = Number(event.target.value);
    sampleAt.value = i === steps.length - 1 ? rest : { ...rest, [run.id]: steps[i] };
  };
  return html`<section class="samples">
    <h3>What it writes</h3>
    <label for="sample">At step ${chosen.toLocaleString("en")}, validation ${at + 1} of ${steps.length}</label>
    <input id="sample" type="range" min="0" max=${steps.length - 1} value=${at} aria-valuetext=${`step ${chosen}`} onInput=${choose} />
    ${texts.filter((one) => one.step === chosen).map((one, i) => html`<blockquote key=${i}><span class="faint">${one.text.startsWith(one.prompt) ? one.prompt : ""}</span>${one.text.startsWith(one.prompt) ? one.text.slice(one.prompt.length) : one.text}</blockquote>`)}
  </section>`;
}

const names = (runs) => runs.map((run) => run.id).join(" and ");
const count = (number) => number.toLocaleString("en");
const gigabytes = (bytes) => (bytes < 9.95e9 ? (bytes / 1e9).toFixed(1) : (bytes / 1e9).toFixed(0));

function duration(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

function between(low, high) {
  const [one, other] = [duration(low), duration(high)];
  if (one === other) return `about ${one}`;
  const unit = other.split(" ")[1];
  return one.endsWith(` ${unit}`) ? `${one.split(" ")[0]} to ${other}` : `${one} to ${other}`;
}

// The state of a run in the list.
function brief(run) {
  if (run.state === "damaged") return "damaged";
  if (run.state === "finished") return `finished, ${count(run.step)} steps`;
  if (run.state === "stopped") return `stopped at step ${count(run.step)}`;
  const part = run.steps ? `${Math.floor((100 * run.step) / run.steps)} %` : run.step ? `step ${count(run.step)}` : "preparing";
  return `training: ${part}${run.seconds_left === null || run.seconds_left === undefined ? "" : `, ${duration(run.seconds_left)} left`}`;
}

// Without a checkpoint a training begins again, which would replace a model that is there.
const canResume = (run) => run.state === "stopped" && run.corpus && (run.checkpoint !== null || !run.best);

function next(run) {
  if (!run.corpus) return "Mend that, and start it again under this name.";
  if (!canResume(run)) return "It has no checkpoint to continue from.";
  return run.checkpoint === null ? "Resume begins again." : `Resume continues from step ${count(run.checkpoint)}.`;
}

// The state of the run that is open.
function sentence(run) {
  if (run.state === "damaged") return run.why;
  if (run.state === "finished") {
    const early = run.step < run.steps ? `, ${count(run.steps - run.step)} fewer than planned, since it got no better` : "";
    return `Finished after ${duration(run.seconds)} and ${count(run.step)} steps${early}.`;
  }
  if (run.state === "stopped") {
    const where = run.step ? `at step ${count(run.step)}` : "before its first step";
    const why = run.why ? `: ${run.why.replace(/\.$/, "")}` : "";
    return `Stopped ${where}${why}. ${next(run)}`;
  }
  if (run.stopping) return "Stopping after this step, and saving.";
  const goesOn = "The training goes on without this page.";
  if (!run.step) return `Preparing: texts become tokens, and a few steps are measured. ${goesOn}`;
  const left = run.seconds_left === null || run.seconds_left === undefined ? "" : `, about ${duration(run.seconds_left)} left`;
  return `Step ${count(run.step)}${run.steps ? ` of ${count(run.steps)}` : ""}${left}. ${goesOn}${run.own ? "" : " It was started elsewhere."}`;
}
