// What the page imports from other packages. One file, since a bare import would need an import map, which is an inline
// script; and two copies of Preact would silently stop signals.
import { h } from "preact";
import htm from "htm";

export { Fragment, render } from "preact";
export { useEffect, useRef } from "preact/hooks";
export { batch, computed, effect, signal, useComputed, useSignal } from "@preact/signals";
export const html = htm.bind(h);
