// The page: its head, and the room.

import { Write } from "./write.js";
import { kept } from "./kept.js";
import { effect, html, render } from "./vendor.js";

const SCHEMES = ["as the system", "light", "dark"];
const scheme = kept("scheme", 0);
effect(() => {
  document.documentElement.dataset.scheme = SCHEMES[scheme.value];
});

function Head() {
  const turn = () => (scheme.value = (scheme.value + 1) % SCHEMES.length);
  return html`<header>
    <h1 lang="ja">あらすじ</h1>
    <p>New synopses from old ones</p>
    <button onClick=${turn}>Colours: ${SCHEMES[scheme.value]}</button>
  </header>`;
}

render(html`<${Head} /><main><${Write} /></main>`, document.getElementById("app"));
