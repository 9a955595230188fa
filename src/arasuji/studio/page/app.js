// The page: its head, and the room that the address names, such as #train/evening.

import * as arena from "./arena.js";
import * as compare from "./compare.js";
import * as data from "./data.js";
import * as desk from "./desk.js";
import * as inside from "./inside.js";
import { kept } from "./kept.js";
import { bindKeys, KeyList } from "./keys.js";
import { post } from "./server.js";
import * as train from "./train.js";
import { effect, html, render, signal } from "./vendor.js";
import * as write from "./write.js";

const SCHEMES = ["as the system", "light", "dark"];
const scheme = kept("scheme", 0);
effect(() => {
  document.documentElement.dataset.scheme = SCHEMES[scheme.value];
});

// Each room has a title and a component, Room; enter(rest) is called when it is opened, and leave() when it is left.
const ROOMS = { write, inside, arena, data, train, compare, desk };
const room = signal("");

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function go() {
  const [name, ...rest] = location.hash.slice(1).split("/").map(decoded);
  const next = Object.hasOwn(ROOMS, name) ? name : "write";
  if (room.value && room.value !== next) ROOMS[room.value].leave?.();
  bindKeys([]);
  room.value = next;
  ROOMS[next].enter?.(rest.join("/"));
}

// A server that needs a token prints an address with it; it is shown once, and does not stay in the address.
async function showToken() {
  const token = location.hash.match(/^#token=(.+)$/)?.[1];
  if (!token) return;
  history.replaceState(null, "", "#write");
  await post("/api/enter", { token: decoded(token) }).catch(() => {});
}

await showToken();
addEventListener("hashchange", async () => {
  await showToken();
  go();
});
go();

function Head() {
  const turn = () => (scheme.value = (scheme.value + 1) % SCHEMES.length);
  return html`<header>
    <h1 lang="ja">あらすじ</h1>
    <nav aria-label="Rooms">
      ${Object.entries(ROOMS).map(([name, { title }]) => html`<a key=${name} href=${`#${name}`} aria-current=${room.value === name ? "page" : null}>${title}</a>`)}
    </nav>
    <button onClick=${turn}>Colours: ${SCHEMES[scheme.value]}</button>
  </header>`;
}

function Room() {
  const { Room: Own } = ROOMS[room.value];
  return html`<main class=${room.value}><${Own} /></main>`;
}

render(html`<${Head} /><${Room} /><${KeyList} />`, document.getElementById("app"));
