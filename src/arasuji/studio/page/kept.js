// Signals whose values survive a reload: what was typed is kept before it is sent. Each tab has its own; a new tab begins
// with what was kept last.

import { effect, signal } from "./vendor.js";

const STORAGES = ["sessionStorage", "localStorage"];

export function kept(name, first) {
  const key = `arasuji.${name}`;
  const found = STORAGES.map((storage) => read(storage, key)).find((value) => value !== undefined);
  const own = signal(found === undefined ? first : found);
  effect(() => {
    const text = JSON.stringify(own.value);
    for (const storage of STORAGES) {
      try {
        window[storage].setItem(key, text);
      } catch {
        // a private window keeps nothing
      }
    }
  });
  return own;
}

// The value that was kept, which may be null; undefined where there is none, or the browser keeps nothing.
function read(storage, key) {
  try {
    return JSON.parse(window[storage].getItem(key) ?? undefined);
  } catch {
    return undefined;
  }
}
