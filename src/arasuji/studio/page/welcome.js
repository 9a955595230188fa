// The welcome of a studio without a model: what this is, and the demo, which trains two.

import { polled } from "./poll.js";
import { get, post } from "./server.js";
import { html, useEffect, useSignal } from "./vendor.js";

const SECONDS = 2; // between two looks at the demo
const STAGES = [
  "Prepare 430 original synopses, which come with the program",
  "Train a small LSTM on them, from nothing",
  "Fine-tune a pretrained transformer on them",
  "Write texts with both",
  "Compare them, on a page of its own",
];
const WRITING = 4; // when this stage begins, both models are there

export function Welcome() {
  const demo = useSignal(undefined); // null: it was not started
  const failed = useSignal("");

  async function look() {
    try {
      const jobs = await get("/api/jobs");
      demo.value = jobs.find((job) => job.verb === "demo") ?? null;
      failed.value = "";
    } catch (error) {
      failed.value = error.message;
      return true; // the server may come back
    }
    if (demo.value && stageOf(demo.value) >= WRITING && (demo.value.running || demo.value.code === 0)) {
      dispatchEvent(new HashChangeEvent("hashchange")); // the Write room is opened again, with both
    }
    return Boolean(demo.value?.running);
  }

  const looking = useSignal(null);
  useEffect(() => {
    looking.value = polled(look, SECONDS);
    looking.value.start();
    return () => looking.value.stop();
  }, []);

  const ask = (path) => async () => {
    try {
      await post(path, {});
    } catch (error) {
      failed.value = error.message;
      return;
    }
    looking.value.now();
  };

  const running = demo.value?.running;
  return html`<section style=${{ maxWidth: "72ch" }}>
    <h2>No model yet</h2>
    <p>Here small language models learn to write synopses from texts of yours. An LSTM that begins with nothing and a fine-tuned transformer write side by side, and each word shows what else could have stood there. All of it happens on this machine.</p>
    ${demo.value !== undefined && !running && html`<p><button class="first" onClick=${ask("/api/demo")}>Train the two models of the demo</button></p>`}
    <p>${running ? "The demo goes on without this page." : html`It takes about ten minutes on two cores, as <code>arasuji demo</code> does in a terminal:`}</p>
    <ol>${STAGES.map((stage, i) => html`<li key=${i} aria-current=${running && stageOf(demo.value) === i + 1 ? "step" : null}>${stage}${running ? mark(i + 1, stageOf(demo.value)) : ""}</li>`)}</ol>
    ${running && html`<p role="status">${lastOf(demo.value)}</p>
      <p><button disabled=${demo.value.asked_to_stop} onClick=${ask(`/api/jobs/${demo.value.name}/stop`)}>${demo.value.asked_to_stop ? "Cancelling…" : "Cancel"}</button></p>`}
    ${demo.value && !running && demo.value.code !== 0 && html`<p class="problem">${demo.value.asked_to_stop ? "The demo was cancelled." : `The demo has ended early: ${lastOf(demo.value)}`}</p>`}
    ${failed.value && html`<p class="problem" role="alert">${failed.value}</p>`}
    <h3>With texts of your own</h3>
    <p><code>arasuji prepare FILE --out corpora/NAME</code> makes a corpus of a CSV, JSONL or Parquet file with a column of texts. <a href="#train">The Train room</a> trains models on it.</p>
  </section>`;
}

// The number of the stage that the demo has come to: "2. train: a small LSTM".
function stageOf(job) {
  const begun = [...job.said.matchAll(/^(\d)\. /gm)];
  return begun.length ? Number(begun[begun.length - 1][1]) : 1;
}

const mark = (stage, now) => (stage < now ? " ✓" : stage === now ? " …" : "");

function lastOf(job) {
  const lines = job.said.split("\n").map((line) => line.trim()).filter(Boolean);
  return (lines[lines.length - 1] ?? "It begins.").replace(/^error: /, "");
}
