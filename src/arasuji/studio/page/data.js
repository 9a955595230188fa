// The Data room.

import { html } from "./vendor.js";

export const title = "Data";

export function Room() {
  return html`<h2>${title}</h2>`;
}
