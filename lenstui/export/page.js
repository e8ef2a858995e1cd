
"use strict";
const data = JSON.parse(document.getElementById("readout").textContent);
const names = Object.keys(data.lenses);
const rows = data.rows.length;
const columns = data.tokens.length;
const panes = data.difference ? ["difference"] : names; // what has a grid
const grids = new Map(); // by pane: a table's cells, [row][column]
const widths = data.tokens.map((text, column) => widest(text, column)); // the same in every grid
let here = [rows - 1, columns - 1];

// Text goes into the page as text and never as HTML.
function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// The values that colours may show

// As lenstui/readout/scales.py has it.
function level(number, { scale, steps }) {
  if (number === null) return "none";
  const share = (distance, farthest) => {
    const within = Math.min(Math.max(distance, 0), farthest);
    if (!farthest) return 0;
    return scale.log ? Math.log1p(within) / Math.log1p(farthest) : within / farthest;
  };
  if (scale.diverging) {
    const arm = (steps.length - 1) / 2;
    return steps[arm + Math.sign(number) * Math.round(arm * share(Math.abs(number), scale.hi))];
  }
  const away = scale.low_is_bright ? number - scale.lo : scale.hi - number;
  return steps[Math.round((1 - share(away, scale.hi - scale.lo)) * (steps.length - 1))];
}

function colour(key) {
  const value = data.values.find((value) => value.key === key);
  for (const pane of panes) {
    const shown = value.differences ?? data.lenses[pane].values[key];
    grids.get(pane).forEach((line, row) =>
      line.forEach((cell, column) => {
        const chosen = cell.classList.contains("here");
        cell.className = "l" + level(shown[row * columns + column], value) + (chosen ? " here" : "");
        cell.classList.toggle("settled", settledRow(pane, column) === row);
      }),
    );
  }
  const [first, middle, last] = value.legend;
  const half = Math.floor(value.steps.length / 2);
  const step = (level) => element("span", { className: "l" + level });
  const below = value.steps.slice(0, half).map(step);
  const above = value.steps.slice(-half).map(step);
  // A step in the middle has its number on it.
  const between = value.steps.length % 2 ? step(value.steps[half]) : element("span");
  between.classList.add("middle");
  if (!value.scale.two) between.append(middle);
  const after = [value.difference_unit ?? value.unit, value.note && `(${value.note})`].filter(Boolean).join(" ");
  const legend = document.getElementById("legend");
  legend.replaceChildren(first, ...below, between, ...above, `${last} ${after}`);
  const ends = value.scale.diverging ? `${first}, blue, to ${last}, orange` : `${first}, dark, to ${last}, bright`;
  legend.setAttribute("aria-label", `${value.label} from ${ends} ${after}`);
}

function drawSwitch() {
  const values = document.getElementById("values");
  for (const value of data.values) {
    const radio = element("input", { type: "radio", name: "value", value: value.key });
    radio.checked = value.key === data.value;
    values.append(element("label", {}, radio, " " + value.label));
  }
  values.addEventListener("change", (event) => {
    colour(event.target.value);
    tell(here);
  });
}

// The grids

function widest(head, column) {
  const shown = panes.flatMap((pane) => data.rows.map((_, row) => shownToken(pane, row, column)));
  return Math.min(12, Math.max(...[data.texts[head], ...shown].map((text) => text.length)));
}

function top1(lens, row, column) {
  return data.texts[lens.top[(row * columns + column) * data.k]];
}

// What is between two rows of the residual stream: 3.attn.
function isPart(row) {
  return data.rows[row].includes(".");
}

function titleOf(pane) {
  return data.difference ? data.difference.title : data.lenses[pane].title;
}

// Of the difference it is the second lens's, with a mark where another one leads by the first.
function shownToken(pane, row, column) {
  if (!data.difference) return top1(data.lenses[pane], row, column);
  const token = top1(data.lenses[data.difference.right], row, column);
  return differs(row, column) ? `${data.difference.mark} ${token}` : token;
}

function differs(row, column) {
  const place = (row * columns + column) * data.k;
  const [left, right] = [data.lenses[data.difference.left], data.lenses[data.difference.right]];
  if (left.probs[place] === null || right.probs[place] === null) return false;
  return left.top[place] !== right.top[place];
}

// Of turns also which one it is.
function whereColumn(column) {
  return `column ${column}` + (data.turns?.[column].name ? `, ${data.turns[column].name}` : "");
}

function drawGrid(pane) {
  const table = element("table", { className: "grid" });
  table.setAttribute("role", "grid");
  table.setAttribute("aria-label", `${titleOf(pane)}: the likeliest next token by row and column`);
  const heads = element("tr", {}, element("th", { className: "corner" }));
  data.tokens.forEach((text, column) => {
    const head = element("th", { scope: "col" }, data.texts[text]);
    const settled = settledRow(pane, column);
    head.title = whereColumn(column) + (settled === null ? "" : `, settles in row ${data.rows[settled]}`);
    head.classList.toggle("template", data.turns?.[column].template ?? false);
    head.classList.toggle("turn", data.turns?.[column].begins ?? false);
    head.style.minWidth = `calc(${widths[column]}ch + 12px)`;
    heads.append(head);
  });
  const body = element("tbody");
  const cells = [];
  for (let row = rows - 1; row >= 0; row--) {
    const line = element("tr", {}, element("th", { scope: "row", className: isPart(row) ? "part" : "" }, data.rows[row]));
    cells[row] = [];
    for (let column = 0; column < columns; column++) {
      const cell = element("td", { tabIndex: -1 }, shownToken(pane, row, column));
      cell.setAttribute("role", "gridcell");
      if (settledRow(pane, column) === row) cell.title = `settles in row ${data.rows[row]}`;
      cell.place = [row, column];
      cells[row].push(cell);
      line.append(cell);
    }
    body.append(line);
  }
  table.append(element("thead", {}, heads), body);
  grids.set(pane, cells);
  const scroll = element("div", { className: "scroll" }, table);
  document.getElementById("lenses").append(
    element("section", { className: "lens" }, element("h2", {}, titleOf(pane), ...legendOfMarks()), scroll),
  );
  table.addEventListener("mouseover", (event) => event.target.place && tell(event.target.place));
  table.addEventListener("mouseleave", () => tell(here));
  table.addEventListener("focusin", (event) => event.target.place && choose(event.target.place));
  table.addEventListener("keydown", (event) => move(event, pane));
  return scroll;
}

function legendOfMarks() {
  const difference = data.difference;
  const titles = difference && [difference.left, difference.right].map((name) => data.lenses[name].title);
  const settles = difference ? `▌ the column settles, by the ${titles[1]}` : "▌ the column settles";
  const differs = difference && `${difference.mark} another token leads by the ${titles[0]}`;
  const marks = [...(difference ? [differs] : []), ...(settling(panes[0]) ? [settles] : [])];
  return [element("span", { className: "faint" }, marks.join(" · "))];
}

// From which row on the likeliest token stays the final one, by column; null where not all rows were read.
function settling(pane) {
  return data.lenses[data.difference ? data.difference.right : pane].crystallization;
}

// Null too where the last row is not a number.
function settledRow(pane, column) {
  return settling(pane)?.[column] ?? null;
}

function followEachOther(scrolls) {
  for (const one of scrolls) {
    one.addEventListener("scroll", () => {
      for (const other of scrolls) {
        if (other.scrollLeft !== one.scrollLeft) other.scrollLeft = one.scrollLeft;
        if (other.scrollTop !== one.scrollTop) other.scrollTop = one.scrollTop;
      }
    });
  }
}

function choose([row, column]) {
  for (const cells of grids.values()) {
    const before = cells[here[0]][here[1]];
    before.classList.remove("here");
    before.tabIndex = -1;
    cells[row][column].classList.add("here");
    cells[row][column].tabIndex = 0;
  }
  here = [row, column];
  tell(here);
}

function move(event, pane) {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const [row, column] = here;
  const places = {
    ArrowUp: [row + 1, column], k: [row + 1, column],
    ArrowDown: [row - 1, column], j: [row - 1, column],
    ArrowLeft: [row, column - 1], h: [row, column - 1],
    ArrowRight: [row, column + 1], l: [row, column + 1],
    PageUp: [row + 10, column], PageDown: [row - 10, column],
    Home: [row, 0], End: [row, columns - 1],
  };
  const place = places[event.key];
  if (!place) return;
  event.preventDefault();
  const within = (number, size) => Math.min(Math.max(number, 0), size - 1);
  const cell = grids.get(pane)[within(place[0], rows)][within(place[1], columns)];
  cell.focus({ preventScroll: true });
  reveal(cell);
}

// Scrolls no more than it must, and not under the headers.
function reveal(cell) {
  const scroll = cell.closest(".scroll");
  const corner = scroll.querySelector(".corner").getBoundingClientRect();
  const box = scroll.getBoundingClientRect();
  const at = cell.getBoundingClientRect();
  const left = box.left + corner.width + 2;
  const top = box.top + corner.height + 2;
  const right = box.left + scroll.clientWidth;
  const bottom = box.top + scroll.clientHeight;
  if (at.right > right) scroll.scrollLeft += at.right - right + 2;
  if (at.left < left) scroll.scrollLeft -= left - at.left;
  if (at.bottom > bottom) scroll.scrollTop += at.bottom - bottom + 2;
  if (at.top < top) scroll.scrollTop -= top - at.top;
}

// The chosen cell

function percent(prob) {
  if (prob === null) return "–";
  return prob > 0 && prob < 5e-5 ? "<0.01%" : `${(100 * prob).toFixed(2)}%`;
}

function fact(label, number) {
  return element("tr", {}, element("th", { scope: "row" }, label), element("td", { className: "number" }, number));
}

// Of a word of several tokens, in the last column.
function ofWord(word, row) {
  if (word.missing) return word.missing;
  const number = word.logprob[row];
  return number === null ? "–" : `log p ${String(number).replace("-", "−")} nats, summed`;
}

// By the value that colours show.
function differenceAt(place) {
  if (!data.difference) return [];
  const chosen = document.querySelector("#values input:checked").value;
  const value = data.values.find(({ key }) => key === chosen);
  const number = value.differences[place];
  const text = number === null ? "–" : `${number > 0 ? "+" : ""}${number} ${value.difference_unit}`.replace("-", "−");
  return [` · ${value.label}, ${data.difference.brief}: ${text}`];
}

function tell([row, column]) {
  const sides = element("div", { className: "sides" });
  const text = (number) => (number === null ? "–" : String(number));
  const listed = data.values.filter((value) => value.brief);
  const amount = (lens, value) =>
    [text(lens.values[value.key][row * columns + column]), value.unit].filter(Boolean).join(" ");
  // All on one line: the name of the first is that of the line.
  const ofNext = (lens) =>
    listed
      .filter((value) => value.of_next)
      .map((value, place) => (place ? `${value.brief} ` : "") + amount(lens, value))
      .join(", ");
  const next = data.tokens.slice(column + 1, column + 2).map((token) => data.texts[token]); // none in the last column
  for (const name of names) {
    const lens = data.lenses[name];
    const at = row * columns + column;
    if (lens.probs[at * data.k] === null) {
      const why = lens.no_row[row] || data.not_a_number;
      const none = element("p", {}, why);
      sides.append(element("div", {}, element("h2", {}, lens.title), none));
      continue;
    }
    const likeliest = element("tbody");
    for (let place = at * data.k; place < (at + 1) * data.k; place++) {
      const bar = element("span", { className: "bar" });
      bar.style.width = `${100 * (lens.probs[place] ?? 0)}%`;
      likeliest.append(
        element(
          "tr",
          {},
          element("td", { className: "token" }, data.texts[lens.top[place]]),
          element("td", { className: "number" }, percent(lens.probs[place])),
          element("td", { className: "room" }, bar),
        ),
      );
    }
    const facts = element(
      "tbody",
      {},
      ...listed.filter((value) => !value.of_next).map((value) => fact(value.label, amount(lens, value))),
      ...next.map((token) => fact(`next: ${token}`, ofNext(lens))),
      ...(lens.crystallization ? [fact("settles in row", data.rows[lens.crystallization[column]] ?? "–")] : []),
      ...data.pins.flatMap((pin, place) => [
        fact(
          pin.whole ? `${data.texts[pin.text]}…` : data.texts[pin.text],
          `${percent(lens.values[pin.probability][at])}, rank ${text(lens.pin_ranks[place][at])}`,
        ),
        ...(pin.whole && column === columns - 1 ? [fact(`whole ${pin.whole}`, ofWord(lens.words[place], row))] : []),
      ]),
    );
    const side = element("div", { className: "side" }, element("table", {}, likeliest), element("table", {}, facts));
    sides.append(element("div", {}, element("h2", {}, lens.title), side));
  }
  const where = element(
    "h2",
    {},
    `row ${data.rows[row]} · ${whereColumn(column)} `,
    element("span", { className: "token" }, data.texts[data.tokens[column]]),
    ...differenceAt(row * columns + column),
  );
  document.getElementById("cell").replaceChildren(where, sides);
}

drawSwitch();
followEachOther(panes.map(drawGrid));
colour(data.value);
choose(here);
reveal(grids.get(panes[0])[here[0]][here[1]]);
