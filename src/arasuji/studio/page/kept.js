// Signals whose values survive a reload: what was typed is kept before it is sent.

import { effect, signal } from "./vendor.js";

export function kept(name, first) {
  const own = signal(read(name, first));
  effect(() => {
    try {
      localStorage.setItem(`arasuji.${name}`, JSON.stringify(own.value));
    } catch {
      // a private window keeps nothing
    }
  });
  return own;
}

function read(name, first) {
  try {
    const found = localStorage.getItem(`arasuji.${name}`);
    return found === null ? first : JSON.parse(found);
  } catch {
    return first;
  }
}
