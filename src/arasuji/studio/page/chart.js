// A line chart in SVG: names at the ends of lines, values where one points, and its figures in a table.

import { html, useEffect, useRef, useSignal } from "./vendor.js";

const LETTER = 7; // a letter is about this wide, in pixels
const LINE = 15; // two names stand at least this far apart
const LEFT = 48;
const TOP = 12;
const BOTTOM = 40;
const ROWS = 40; // a table has at most this many rows of a line

// lines: [{ name, colour, points: [[x, y], ...], faint: [[x, y], ...], mark: [x, y] }], with a ring around `mark`.
// x and y: { name, shown }, where `shown` writes a value; `note` says what a reader has to know.
export function Chart({ title, note, lines, x, y }) {
  const box = useRef(null);
  const width = useSignal(640);
  const pointed = useSignal(null);
  useEffect(() => {
    const watcher = new ResizeObserver(([entry]) => (width.value = Math.max(240, Math.round(entry.contentRect.width))));
    watcher.observe(box.current);
    return () => watcher.disconnect();
  }, []);

  const drawn = lines.filter((line) => line.points.length > 0);
  if (!drawn.length) return html`<figure ref=${box}><figcaption>${title}</figcaption><p class="hint">No figures yet.</p></figure>`;

  const narrow = width.value < 560;
  const right = narrow ? 8 : Math.min(200, LETTER * Math.max(...drawn.map((line) => line.name.length)) + 20);
  const height = narrow ? 240 : 300;
  const every = drawn.flatMap((line) => [...line.points, ...(line.faint ?? [])]);
  const across = scale(every.map((point) => point[0]), [LEFT, width.value - right], 0);
  const up = scale(every.map((point) => point[1]), [height - BOTTOM, TOP], narrow ? 0.1 : 0.04);
  const path = (points) => points.map(([px, py], i) => `${i ? "L" : "M"}${across.place(px).toFixed(1)} ${up.place(py).toFixed(1)}`).join("");
  const labels = apart(drawn.map((line) => labelOf(line, line.points[line.points.length - 1])));

  // A name stands behind the end of its line; below it where there is no room: most lines fall.
  function labelOf(line, [endX, endY]) {
    const end = across.place(endX);
    const fits = end + 10 + LETTER * line.name.length <= width.value;
    return { line, x: fits ? end + 10 : width.value - right, y: up.place(endY) + (fits ? 0 : 14), anchor: fits ? "start" : "end" };
  }

  const point = (event) => {
    const inside = event.clientX - event.currentTarget.getBoundingClientRect().left;
    pointed.value = across.value(inside);
  };
  const near = pointed.value === null ? [] : drawn.map((line) => ({ line, at: nearest(line.points, pointed.value) }));

  return html`<figure ref=${box}>
    <figcaption>${title}</figcaption>
    <svg width=${width.value} height=${height} role="img" aria-label=${`${title}. ${x.name} to the right, ${y.name} upwards. The figures stand in the table below.`}
      onPointerMove=${point} onPointerDown=${point} onPointerLeave=${() => (pointed.value = null)}>
      ${up.ticks(narrow ? 4 : 6).map(
        (value) => html`<g key=${value}><line x1=${LEFT} x2=${width.value - right} y1=${up.place(value)} y2=${up.place(value)} class="grid" />
          <text x=${LEFT - 8} y=${up.place(value)} dy="0.32em" text-anchor="end">${y.shown(value)}</text></g>`,
      )}
      ${across.ticks(narrow ? 4 : 7).map(
        (value) => html`<text key=${value} x=${across.place(value)} y=${height - BOTTOM + 18} text-anchor="middle">${x.shown(value)}</text>`,
      )}
      <text x=${width.value - right} y=${height - 4} text-anchor="end">${x.name}</text>
      ${drawn.map((line) => line.faint && html`<path key=${line.name} d=${path(line.faint)} class="faint" style=${{ stroke: line.colour }} />`)}
      ${drawn.map((line) => html`<path key=${line.name} d=${path(line.points)} class="line" style=${{ stroke: line.colour }} />`)}
      ${drawn.map((line) => line.mark && html`<circle key=${line.name} cx=${across.place(line.mark[0])} cy=${up.place(line.mark[1])} r="4.5" class="mark" style=${{ stroke: line.colour }} />`)}
      ${labels.map(
        (label) => html`<text key=${label.line.name} class="name" x=${label.x} y=${label.y} dy="0.32em" text-anchor=${label.anchor} style=${{ fill: label.line.colour }}>${label.line.name}</text>`,
      )}
      ${near.length > 0 && html`<line x1=${across.place(pointed.value)} x2=${across.place(pointed.value)} y1=${TOP} y2=${height - BOTTOM} class="cursor" />`}
      ${near.map(({ line, at }) => html`<circle key=${line.name} cx=${across.place(at[0])} cy=${up.place(at[1])} r="3.5" style=${{ fill: line.colour }} />`)}
    </svg>
    <p class="hint pointed">${near.map(({ line, at }) => `${line.name}: ${y.shown(at[1], true)} at ${x.shown(at[0], true)}`).join("; ") || note}</p>
    <details><summary>The figures</summary>
      <div class="box"><table>
        <thead><tr><th>Run</th><th class="number">${x.name}</th><th class="number">${y.name}</th></tr></thead>
        <tbody>${drawn.flatMap((line) =>
          thinned(line.points).map(([px, py]) => html`<tr key=${`${line.name} ${px}`}><td>${line.name}</td><td class="number">${x.shown(px, true)}</td><td class="number">${y.shown(py, true)}</td></tr>`),
        )}</tbody>
      </table></div>
    </details>
  </figure>`;
}

// A linear scale from values to pixels; `room` is the share that is left free at both ends.
function scale(values, [from, to], room) {
  let least = Math.min(...values);
  let most = Math.max(...values);
  if (least === most) [least, most] = [least - 0.5, most + 0.5];
  const more = (most - least) * room;
  [least, most] = [least - more, most + more];
  return {
    place: (value) => from + ((value - least) / (most - least)) * (to - from),
    value: (place) => least + ((place - from) / (to - from)) * (most - least),
    ticks(count) {
      const rough = (most - least) / count;
      const power = 10 ** Math.floor(Math.log10(rough));
      const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= rough);
      const first = Math.ceil(least / step);
      return Array.from({ length: Math.floor(most / step) - first + 1 }, (_, i) => (first + i) * step);
    },
  };
}

// Names that would stand one on the other are moved apart, downwards.
function apart(labels) {
  const sorted = [...labels].sort((one, other) => one.y - other.y);
  for (let i = 1; i < sorted.length; i += 1) sorted[i].y = Math.max(sorted[i].y, sorted[i - 1].y + LINE);
  return sorted;
}

function nearest(points, x) {
  return points.reduce((best, one) => (Math.abs(one[0] - x) < Math.abs(best[0] - x) ? one : best));
}

function thinned(points) {
  if (points.length <= ROWS) return points;
  return Array.from({ length: ROWS }, (_, i) => points[Math.round((i * (points.length - 1)) / (ROWS - 1))]);
}
