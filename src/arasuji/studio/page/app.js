// The page: its head, and the room that the address names.

import { Desk, openDesk } from "./desk.js";
import { kept } from "./kept.js";
import { effect, html, render, signal } from "./vendor.js";
import { Write } from "./write.js";

const SCHEMES = ["as the system", "light", "dark"];
const scheme = kept("scheme", 0);
effect(() => {
  document.documentElement.dataset.scheme = SCHEMES[scheme.value];
});

const ROOMS = { write: "Write", desk: "Desk" };
const room = signal("write");

function enter() {
  const name = location.hash.slice(1);
  room.value = name in ROOMS ? name : "write";
  if (room.value === "desk") openDesk();
}

addEventListener("hashchange", enter);
enter();

function Room() {
  return html`<main>${room.value === "desk" ? html`<${Desk} />` : html`<${Write} />`}</main>`;
}

function Head() {
  const turn = () => (scheme.value = (scheme.value + 1) % SCHEMES.length);
  return html`<header>
    <h1 lang="ja">あらすじ</h1>
    <nav aria-label="Rooms">
      ${Object.entries(ROOMS).map(([name, title]) => html`<a key=${name} href=${`#${name}`} aria-current=${room.value === name ? "page" : null}>${title}</a>`)}
    </nav>
    <button onClick=${turn}>Colours: ${SCHEMES[scheme.value]}</button>
  </header>`;
}

render(html`<${Head} /><${Room} />`, document.getElementById("app"));
