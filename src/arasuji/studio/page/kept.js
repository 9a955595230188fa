// Signals whose values survive a reload: what was typed is kept before it is sent. Each tab has its own; a new tab begins
// with what was kept last.

import { effect, signal } from "./vendor.js";

export function kept(name, first) {
  const key = `arasuji.${name}`;
  const own = signal(read(sessionStorage, key) ?? read(localStorage, key) ?? first);
  effect(() => {
    const text = JSON.stringify(own.value);
    for (const storage of [sessionStorage, localStorage]) {
      try {
        storage.setItem(key, text);
      } catch {
        // a private window keeps nothing
      }
    }
  });
  return own;
}

function read(storage, key) {
  try {
    return JSON.parse(storage.getItem(key));
  } catch {
    return null;
  }
}
