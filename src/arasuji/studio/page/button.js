// A button that can be off: it keeps the focus then, which a disabled one would lose.

import { html } from "./vendor.js";

export function Button({ off, onClick, children, ...rest }) {
  const click = (event) => (off ? event.preventDefault() : onClick?.(event));
  return html`<button type="button" aria-disabled=${Boolean(off)} onClick=${click} ...${rest}>${children}</button>`;
}
