// The Train room.

import { html } from "./vendor.js";

export const title = "Train";

export function Room() {
  return html`<h2>${title}</h2>`;
}
