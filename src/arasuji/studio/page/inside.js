// The Look inside room.

import { html } from "./vendor.js";

export const title = "Look inside";

export function Room() {
  return html`<h2>${title}</h2>`;
}
