// The Arena room.

import { html } from "./vendor.js";

export const title = "Arena";

export function Room() {
  return html`<h2>${title}</h2>`;
}
