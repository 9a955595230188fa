// The colours of models: Okabe and Ito's, some darkened on light paper. A run that has got one keeps it.

import { kept } from "./kept.js";

const COLOURS = [
  "light-dark(#0072b2, #56b4e9)",
  "light-dark(#b34e00, #e8833a)",
  "light-dark(#00795a, #33b58f)",
  "light-dark(#a34a7f, #d68cb6)",
  "light-dark(#806000, #e69f00)",
  "light-dark(#2670a0, #a8d5f2)",
  "light-dark(#666000, #d6cc40)",
];
const given = kept("colours", {});

export const colourOf = (name) => COLOURS[given.value[name] ?? 0];

// Gives each run that has no colour yet the one that the fewest of these runs have.
export function giveColours(names) {
  const mine = { ...given.value };
  for (const name of names) {
    if (name in mine) continue;
    const taken = COLOURS.map((_, i) => names.filter((other) => mine[other] === i).length);
    mine[name] = taken.indexOf(Math.min(...taken));
  }
  if (names.some((name) => !(name in given.value))) given.value = mine;
}
