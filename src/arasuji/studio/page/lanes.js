// The two lanes of the Write room: their texts, what is done with them, and the undoing of all of it.

import { keep } from "./desk.js";
import { kept } from "./kept.js";
import { anyValue, fieldsFor, runOf } from "./runs.js";
import { events, post, send } from "./server.js";
import { seed, settings, wished } from "./settings.js";
import { batch, computed, signal } from "./vendor.js";

const MOST_VERSIONS = 20;
const MOST_UNDONE = 50;
const VARIATIONS = 4;
const FEWEST_MORE = 10; // tokens that a text gets at least when it goes on
const MOST_SEED = 2 ** 32;

export const prompt = kept("prompt", "After years");
export const chosen = kept("lanes", ["", ""]);
export const active = signal(0); // the lane that keys act on
export const said = signal(""); // for screen readers
const undoable = signal([]); // [what it undoes, the function]
export const lastAction = computed(() => undoable.value.at(-1)?.[0] ?? "");

function laneOf(i) {
  return {
    texts: kept(`texts-${i}`, []), // {asked, tokens, end, verdict}; asked.prompt is its beginning
    current: kept(`current-${i}`, -1),
    busy: signal(false),
    problem: signal(""),
    waiting: signal(0), // seconds until a full server is asked again
    at: signal(-1), // the token that is looked at
    choice: signal(null),
    variations: signal([]),
  };
}

export const lanes = [laneOf(0), laneOf(1)];
export const writing = computed(() => lanes.some((lane) => lane.busy.value));
export const ready = () => [0, 1].filter((i) => chosen.value[i]);
export const textOf = (lane) => lane.texts.value[lane.current.value];
export const wholeOf = (text) => text.asked.prompt + text.tokens.map((token) => token.text).join("") + (text.end?.rest ?? "");

const running = new Set();
export function stop() {
  for (const one of running) one.abort();
  running.clear();
}

function remember(what, which, more = () => {}) {
  const before = which.map((i) => [lanes[i], lanes[i].texts.value, lanes[i].current.value]);
  const entry = [what, () => {
    for (const [lane, texts, current] of before) {
      lane.texts.value = texts;
      lane.current.value = current;
      close(lane);
    }
    more();
  }];
  undoable.value = [...undoable.value, entry].slice(-MOST_UNDONE);
  return entry;
}

// Undo an action that came to nothing, as if it had not been begun.
function takeBack(entry, which) {
  const problems = which.map((i) => lanes[i].problem.value);
  undoable.value = undoable.value.filter((other) => other !== entry);
  entry[1]();
  which.forEach((i, n) => (lanes[i].problem.value = problems[n]));
}

export function undo() {
  const last = undoable.value.at(-1);
  if (!last) return;
  stop();
  undoable.value = undoable.value.slice(0, -1);
  batch(last[1]);
  said.value = `Undone: ${last[0]}.`;
}

function close(lane) {
  lane.at.value = -1;
  lane.choice.value = null;
  lane.problem.value = "";
}

function put(lane, text) {
  if (lane.texts.value[lane.current.value]) lane.texts.value = lane.texts.value.with(lane.current.value, text);
}

function add(lane, text) {
  batch(() => {
    lane.texts.value = [...lane.texts.value, text].slice(-MOST_VERSIONS);
    lane.current.value = lane.texts.value.length - 1;
    close(lane);
  });
}

const asked = (i) => ({ run: chosen.value[i], prompt: prompt.value, fields: fieldsFor(chosen.value[i]), sampling: settings.value, seed: seed.value, any_genre: anyValue.value, ...wished() });
const fresh = (own, tokens = []) => ({ asked: own, tokens, end: null, verdict: "" });
const idsOf = (tokens) => tokens.map((token) => token.id);

// What `stop` ends.
function begin() {
  const one = new AbortController();
  running.add(one);
  return one.signal;
}

// Stream texts into a lane; `take` gets the number of a request, and each of its events. Whether all was written.
async function stream(lane, requests, take, signal) {
  lane.busy.value = true;
  lane.problem.value = "";
  try {
    while (!signal.aborted) {
      try {
        for await (const event of events("/api/write", { lanes: requests }, signal)) take(event.lane, event);
        return true;
      } catch (error) {
        if (!error.retryAfter) throw error;
        lane.problem.value = error.message;
        await countdown(lane, error.retryAfter, signal);
      }
    }
  } catch (error) {
    if (error.name !== "AbortError") lane.problem.value = error.message;
  } finally {
    lane.busy.value = false;
    lane.waiting.value = 0;
  }
  return false;
}

async function countdown(lane, seconds, signal) {
  for (let left = seconds; left > 0 && !signal.aborted; left--) {
    lane.waiting.value = left;
    await new Promise((done) => setTimeout(done, 1000));
  }
  lane.waiting.value = 0;
  if (!signal.aborted) lane.problem.value = "";
}

const tokenOf = ([id, text, probability, rank]) => ({ id, text: String(text), bits: -Math.log2(Math.max(probability, 1e-9)), rank });

// A text with what an event of the stream adds to it.
function grown(text, event) {
  if (event.tokens) return { ...text, tokens: [...text.tokens, ...event.tokens.map(tokenOf)] };
  return { ...text, end: event.end ?? text.end };
}

// Write on: each lane's current text gets the tokens that come.
async function writeOn(entry, which) {
  said.value = `${which.map((i) => chosen.value[i]).join(" and ")}: writing`;
  const signal = begin();
  let came = false;
  await Promise.all(
    which.map((i) => {
      const lane = lanes[i];
      let own = textOf(lane); // another version may be shown while this one is written
      const take = (_, event) => {
        if (event.fail) {
          lane.problem.value = event.fail;
          return;
        }
        came = true;
        const next = grown(own, event);
        lane.texts.value = lane.texts.value.map((one) => (one === own ? next : one));
        own = next;
        if (i === which[0]) tell(i);
      };
      return stream(lane, [request(own)], take, signal);
    }),
  );
  if (signal.aborted) return;
  const problem = which.map((i) => lanes[i].problem.value).find(Boolean);
  if (!problem) said.value = "The text is written.";
  else if (came) said.value = `Not all was written: ${problem}`;
  else {
    said.value = `Nothing was written: ${problem}`;
    takeBack(entry, which);
  }
}

const request = (text) => ({ ...text.asked, ids: idsOf(text.tokens) });

// Whole sentences of the first lane, for screen readers, at most every two seconds.
let toldAt = 0;
let toldUntil = 0;
function tell(i) {
  const text = textOf(lanes[i]);
  const whole = text ? wholeOf(text) : "";
  if (whole.length < toldUntil) toldUntil = 0;
  const end = whole.search(/[.!?。！？]["”』」]?\s*$/) >= 0 ? whole.length : toldUntil;
  if (end <= toldUntil || Date.now() < toldAt + 2000) return;
  said.value = whole.slice(toldUntil, end);
  toldUntil = end;
  toldAt = Date.now();
}

export function write(which = ready()) {
  if (!which.length) return;
  const entry = remember("writing", which);
  for (const i of which) {
    lanes[i].variations.value = [];
    add(lanes[i], fresh(asked(i)));
  }
  return writeOn(entry, which);
}

export function another() {
  seed.value = (seed.value + 1) % MOST_SEED;
  return write();
}

export function goOn(i) {
  const lane = lanes[i];
  const text = textOf(lane);
  if (!text || lane.busy.value) return;
  const entry = remember("continuing", [i]);
  const run = chosen.value[i];
  if (run !== text.asked.run) {
    add(lane, fresh({ ...asked(i), prompt: wholeOf(text) })); // another model has other tokens
  } else {
    const tokens = text.end?.reason === "ended" ? text.tokens.slice(0, -1) : text.tokens; // without its end token
    const most = settings.value.max_length ?? runOf(run).sampling.max_length;
    const sampling = { ...text.asked.sampling, max_length: tokens.length + most, min_length: tokens.length + FEWEST_MORE };
    put(lane, fresh({ ...text.asked, sampling }, tokens));
  }
  return writeOn(entry, [i]);
}

// Write again from the token that is looked at, or from the beginning, by another seed.
export function retry(i) {
  const lane = lanes[i];
  const text = textOf(lane);
  if (!text || lane.busy.value) return;
  const entry = remember("writing again", [i]);
  const own = { ...text.asked, seed: (text.asked.seed + 1) % MOST_SEED };
  add(lane, fresh(own, text.tokens.slice(0, Math.max(lane.at.value, 0))));
  return writeOn(entry, [i]);
}

// Take another token at the place that is looked at, and go on from there.
export function take(i, candidate) {
  const lane = lanes[i];
  const text = textOf(lane);
  const entry = remember("taking another word", [i]);
  const token = { id: candidate.id, text: candidate.text, bits: -Math.log2(Math.max(candidate.raw, 1e-9)), rank: 0 };
  add(lane, fresh(text.asked, [...text.tokens.slice(0, lane.at.value), token]));
  return writeOn(entry, [i]);
}

// Four texts from the place that is looked at, or from the beginning, to choose from.
export async function vary(i) {
  const lane = lanes[i];
  const text = textOf(lane) ?? fresh(asked(i));
  if (lane.busy.value || !chosen.value[i]) return;
  const begun = text.tokens.slice(0, Math.max(lane.at.value, 0));
  lane.variations.value = Array.from({ length: VARIATIONS }, (_, n) => fresh({ ...text.asked, seed: (text.asked.seed + n + 1) % MOST_SEED }, begun));
  said.value = "Four variations: writing";
  const take = (n, event) => {
    if (event.fail) lane.problem.value = event.fail;
    else if (lane.variations.value[n]) lane.variations.value = lane.variations.value.with(n, grown(lane.variations.value[n], event));
  };
  const done = await stream(lane, lane.variations.value.map(request), take, begin());
  if (done) said.value = "Four variations are written.";
}

export function choose(i, variation) {
  remember("taking a variation", [i]);
  add(lanes[i], variation);
}

export function show(i, step) {
  const lane = lanes[i];
  const next = lane.current.value + step;
  if (lane.busy.value || next < 0 || next >= lane.texts.value.length) return;
  lane.current.value = next;
  close(lane);
}

export function edit(i, whole) {
  const lane = lanes[i];
  const text = textOf(lane);
  if (whole === wholeOf(text)) return;
  remember("editing", [i]);
  add(lane, { ...fresh({ ...text.asked, prompt: whole }), edited: true });
}

// Keep or reject a text: at once here, and on the desk when the server has answered.
export async function judge(i, verdict, text = textOf(lanes[i])) {
  const lane = lanes[i];
  const whole = text && wholeOf(text).trim();
  if (!whole || text.verdict || (lane.busy.value && text === textOf(lane))) return;
  const { prompt: beginning, fields, sampling, seed: own } = text.asked;
  const sent = keep(whole, text.asked.run, { prompt: beginning, fields, sampling, seed: own }, verdict);
  const judged = { ...text, verdict };
  const exchange = (one, other) => {
    lane.texts.value = lane.texts.value.map((each) => (each === one ? other : each));
    lane.variations.value = lane.variations.value.map((each) => (each === one ? other : each));
  };
  const entry = remember(verdict === "kept" ? "keeping" : "rejecting", [i], () => {
    exchange(judged, text);
    sent.then((row) => send("DELETE", `/api/desk/${row.id}`)).catch(() => {});
  });
  exchange(text, judged);
  try {
    await sent;
    said.value = `The text is ${verdict}.`;
  } catch (error) {
    undoable.value = undoable.value.filter((other) => other !== entry);
    exchange(judged, text);
    lane.problem.value = error.message;
  }
}

// Look at a token: what else could stand in its place. `count` is how many are shown.
export async function look(i, at, count = 12) {
  const lane = lanes[i];
  const text = textOf(lane);
  if (!text || lane.busy.value) return;
  lane.at.value = at;
  lane.choice.value = null;
  try {
    const found = await post("/api/inside/choice", { ...text.asked, ids: idsOf(text.tokens.slice(0, at)), count });
    if (lane.at.value === at && textOf(lane) === text) lane.choice.value = found;
  } catch (error) {
    lane.problem.value = error.message;
  }
}
