// The Compare room.

import { html } from "./vendor.js";

export const title = "Compare";

export function Room() {
  return html`<h2>${title}</h2>`;
}
