import { useEffect, useRef, useState } from 'preact/hooks';
import { axisOf } from './axis.js';
import { html } from './html.js';
import { dayName, shortDayName } from './time.js';

/** @typedef {{ kind: string, name: string, value: number }} Part */
/** @typedef {{ date: string, link: string, parts: Part[] }} Bar */

const height = 190;
const edge = { top: 8, right: 20, bottom: 22, left: 44 };

/**
 * A chart with a stacked bar for each day, and a table with the same values. Screen readers always get the table; the button
 * shows it to everybody.
 *
 * @param {{ caption: string, bars: Bar[], format: (value: number) => string, formatShort: (value: number) => string,
 *   total?: boolean }} props `formatShort` is for the axis, `total` adds a column with the sum of the parts
 */
export function BarChart({ caption, bars, format, formatShort, total = false }) {
  const [isTable, setTable] = useState(false);
  const [hovered, setHovered] = useState(/** @type {Bar | undefined} */ (undefined));
  const frame = useRef(/** @type {HTMLElement | null} */ (null));
  const width = useWidth(frame);
  const shownText = hovered
    ? `${dayName(hovered.date)}: ${
        hovered.parts
          .filter(({ value }) => value > 0)
          .map(({ name, value }) => `${format(value)} ${name.toLowerCase()}`)
          .join(', ') || 'none'
      }`
    : caption;
  return html`
    <p class="chart-reading muted small">${shownText}</p>
    <div class="chart" ref=${frame} aria-hidden="true" onMouseLeave=${() => setHovered(undefined)}>
      ${width > 0 && html`<${Drawing} bars=${bars} width=${width} formatShort=${formatShort} hovered=${hovered} onHover=${setHovered} />`}
    </div>
    <div class=${isTable ? 'scroll' : 'visually-hidden'}><${Table} caption=${caption} bars=${bars} format=${format} total=${total} isShown=${isTable} /></div>
    <button type="button" class="quiet small" aria-pressed=${isTable} onClick=${() => setTable(!isTable)}>Show as a table</button>
  `;
}

/** Returns the current width of an element. A drawing of that width keeps the size of its text. @param {{ current: HTMLElement | null }} frame */
function useWidth(frame) {
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const element = frame.current;
    if (!element) return undefined;
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry?.contentRect.width ?? 0)));
    observer.observe(element);
    return () => observer.disconnect();
  }, [frame]);
  return width;
}

const sumOf = (/** @type {Bar} */ { parts }) => parts.reduce((sum, { value }) => sum + value, 0);

/**
 * @param {{ bars: Bar[], width: number, formatShort: (value: number) => string, hovered: Bar | undefined,
 *   onHover: (bar: Bar) => void }} props
 */
function Drawing({ bars, width, formatShort, hovered, onHover }) {
  const { top, marks } = axisOf(Math.max(...bars.map(sumOf)));
  const inner = { width: width - edge.left - edge.right, height: height - edge.top - edge.bottom };
  const yOf = (/** @type {number} */ value) => edge.top + inner.height * (1 - value / top);
  const step = inner.width / bars.length;
  // A date needs 64 pixels: label only every nth bar.
  const labelInterval = Math.ceil(64 / step);
  const lines = marks.map(
    (mark) => html`<g key=${mark}>
      <line class="grid" x1=${edge.left} x2=${width - edge.right} y1=${yOf(mark)} y2=${yOf(mark)} />
      <text x=${edge.left - 8} y=${yOf(mark)} dy="0.32em" text-anchor="end">${formatShort(mark)}</text>
    </g>`,
  );
  const columns = bars.map((bar, index) => {
    const x = edge.left + index * step;
    let below = 0;
    const parts = bar.parts.map(({ kind, value }) => {
      const y = yOf(below + value);
      const size = yOf(below) - y;
      below += value;
      return html`<rect class="part ${kind}" x=${x + step * 0.14} y=${y} width=${step * 0.72} height=${size} />`;
    });
    const isDated = (bars.length - 1 - index) % labelInterval === 0;
    return html`<g key=${bar.date} class=${bar === hovered ? 'column pointed' : 'column'}>
      ${parts}
      ${isDated && html`<text x=${x + step / 2} y=${height - 6} text-anchor="middle">${shortDayName(bar.date)}</text>`}
      <rect class="target" x=${x} y="0" width=${step} height=${height} onMouseEnter=${() => onHover(bar)} onClick=${() => goTo(bar)} />
    </g>`;
  });
  return html`<svg width=${width} height=${height} viewBox=${`0 0 ${width} ${height}`}>${lines}${columns}</svg>`;
}

/** @param {Bar} bar */
function goTo({ link }) {
  location.hash = link;
}

/**
 * @param {{ caption: string, bars: Bar[], format: (value: number) => string, total: boolean, isShown: boolean }} props while
 *   only screen readers get the table, its links take no keyboard focus: nobody would see it
 */
function Table({ caption, bars, format, total, isShown }) {
  const names = bars[0]?.parts.map(({ name }) => name) ?? [];
  const head = [...names, ...(total ? ['All'] : [])].map((name) => html`<th scope="col" class="number">${name}</th>`);
  const rows = [...bars].reverse().map((bar) => {
    const values = [...bar.parts.map(({ value }) => value), ...(total ? [sumOf(bar)] : [])];
    return html`<tr key=${bar.date}>
      <th scope="row"><a href=${bar.link} tabindex=${isShown ? undefined : -1}>${dayName(bar.date)}</a></th>
      ${values.map((value) => html`<td class="number">${format(value)}</td>`)}
    </tr>`;
  });
  return html`<table class="plain"><caption class="visually-hidden">${caption}</caption>
    <thead><tr><th scope="col">Day</th>${head}</tr></thead><tbody>${rows}</tbody>
  </table>`;
}
